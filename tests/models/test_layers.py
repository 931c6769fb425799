"""Positions and small layers against transformers and torch."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
import transformers
from flax import nnx
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.bloom.modeling_bloom import build_alibi_tensor
from transformers.models.xglm.modeling_xglm import XGLMSinusoidalPositionalEmbedding

from jaxprune.models.config import RopeConfig
from jaxprune.models.layers import (
    ACTIVATIONS,
    LayerNorm,
    Linear,
    RMSNorm,
    alibi_slopes,
    rope_frequencies,
    sinusoids,
)


@pytest.mark.parametrize("heads", range(1, 41))
def test_alibi_slopes(heads):
    bias = build_alibi_tensor(torch.ones(1, 4, dtype=torch.long), heads, torch.float32)
    np.testing.assert_allclose(alibi_slopes(heads), bias[:, 0, 1].numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("factor", "low", "high", "original"), [(8.0, 1.0, 4.0, 8192), (32.0, 1.0, 4.0, 8192), (4.0, 0.5, 3.0, 64)]
)  # fmt: skip
def test_rope_frequencies_of_llama3(factor, low, high, original):
    rope = {
        "rope_type": "llama3", "rope_theta": 500_000.0, "factor": factor, "low_freq_factor": low,
        "high_freq_factor": high, "original_max_position_embeddings": original,
    }  # fmt: skip
    config = transformers.LlamaConfig(head_dim=64, rope_parameters=rope)
    want, attention_factor = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    got = rope_frequencies(64, RopeConfig(500_000.0, factor, low, high, original))
    assert attention_factor == 1
    np.testing.assert_allclose(got, want, rtol=2e-6)
    plain = rope_frequencies(64, RopeConfig(500_000.0))
    assert np.isclose(got, plain).any()  # short wavelengths are left
    assert np.isclose(got, plain / factor).any()  # long ones are stretched


@pytest.mark.parametrize("features", [8, 9, 48])
@pytest.mark.parametrize("zero_row", [1, 5, None])
def test_sinusoids(features, zero_row):
    want = XGLMSinusoidalPositionalEmbedding(60, features, zero_row).weights.numpy()
    got = sinusoids(62, features, zero_row)
    np.testing.assert_allclose(got, want, atol=1e-5)
    assert (zero_row is None) or not got[zero_row].any()


def test_sinusoids_shorter_than_the_zero_row():
    np.testing.assert_array_equal(sinusoids(4, 8, 7), sinusoids(9, 8, None)[:4])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name):
    x = np.linspace(-6, 6, 101, dtype=np.float32)
    want = transformers.activations.ACT2FN[name](torch.from_numpy(x))
    np.testing.assert_allclose(jax.jit(ACTIVATIONS[name])(x), want, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_linear_sums_in_float32(dtype):
    """4096 ones in bfloat16: a bfloat16 sum would stop at 256."""
    linear = Linear(4096, 2, True, nnx.Rngs(0))
    linear.kernel.set_value(jnp.ones((4096, 2), dtype))
    linear.bias.set_value(np.asarray([0.5, -0.5], dtype))
    y = jax.jit(linear)(np.ones((3, 4096), np.float32))
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.tile([4096.5, 4095.5], (3, 1)))


@pytest.mark.parametrize(
    ("norm", "theirs"),
    [(LayerNorm, torch.nn.functional.layer_norm), (RMSNorm, torch.nn.functional.rms_norm)],
)
def test_norms_equal_torch(norm, theirs):
    """With an epsilon that is larger than those of models."""
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(4, 7, 24)) * 0.1 + 0.05).astype(np.float32)
    layer = norm(24, 1e-3, nnx.Rngs(0))
    layer.scale.set_value(rng.normal(size=24).astype(np.float32))
    want = theirs(torch.from_numpy(x), (24,), torch.tensor(np.asarray(layer.scale[...])), eps=1e-3)
    np.testing.assert_allclose(jax.jit(layer)(x), want, atol=1e-5)
