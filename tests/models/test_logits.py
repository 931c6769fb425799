"""Models against transformers' torch implementations on tiny random configs, and published shapes."""

import functools

import jax
import numpy as np
import pytest
import torch
from conftest import TINY, tiny_torch
from jax.experimental.pallas.ops.tpu import splash_attention

from jaxprune.hf.weights import Weights
from jaxprune.models import load_config, logits
from jaxprune.models.attention import attend, by_keys


def valid_mask(kind, rows, length):
    mask = np.ones((rows, length), bool)
    for row, pads in enumerate((0, 5, 9)):
        if kind == "left":
            mask[row, :pads] = False
        if kind == "right":
            mask[row, length - pads :] = False
    return mask


compiled = jax.jit(logits, static_argnames="config")  # once a model for all paddings


def assert_logits_equal_torch(compute, name, padding, folder):
    config = load_config(folder)
    params = Weights.open(config, folder).all()
    tokens = np.random.default_rng(1).integers(0, config.vocab_size, (3, 23))
    mask = valid_mask(padding, *tokens.shape)
    positions = np.maximum(mask.cumsum(1) - 1, 0)

    model = tiny_torch(name)
    extra = {} if config.family == "bloom" else {"position_ids": torch.from_numpy(positions)}
    with torch.no_grad():
        want = model(
            torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask).long(), **extra
        )
    got = compute(params, config, tokens, mask)
    want, got = want.logits.numpy()[mask], np.asarray(got)[mask]
    assert np.abs(want).max() > 1  # a comparison of near-zeros would show nothing
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("name", TINY)
def test_logits_equal_torch(name, padding, tiny_folder):
    assert_logits_equal_torch(compiled, name, padding, tiny_folder(name))


@pytest.fixture(scope="module", params=["gpu", "tpu"])
def elsewhere(request):
    """`logits` as it attends on GPUs in float32, in small chunks, and by the kernel of TPUs, interpreted."""
    make = splash_attention.make_splash_mha_single_device
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attend, "platform", lambda: request.param)
        patch.setattr(by_keys, "CHUNKS", (8,))
        interpreted = functools.partial(make, interpret=True)
        patch.setattr(splash_attention, "make_splash_mha_single_device", interpreted)
        yield jax.jit(lambda *args: logits(*args), static_argnums=1)


@pytest.mark.parametrize("padding", ["left", "right"])
# ALiBi, grouped heads and windows, capped scores, several kinds of layers
@pytest.mark.parametrize("name", ["bloom-6-heads", "mistral", "gemma2", "gemma3"])
def test_logits_of_accelerators_paths_equal_torch_too(name, padding, elsewhere, tiny_folder):
    assert_logits_equal_torch(elsewhere, name, padding, tiny_folder(name))
