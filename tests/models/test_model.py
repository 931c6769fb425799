"""Models against transformers' torch implementations on tiny random configs, and published shapes."""

import functools

import jax
import numpy as np
import pytest
import torch
from conftest import TINY, tiny_torch
from jax.experimental.pallas.ops.tpu import splash_attention

from jaxprune.base.errors import InputError
from jaxprune.hf.model import load
from jaxprune.models.attention import attend, by_keys
from jaxprune.models.model import forward, load_config


def valid_mask(kind, rows, length):
    mask = np.ones((rows, length), bool)
    for row, pads in enumerate((0, 5, 9)):
        if kind == "left":
            mask[row, :pads] = False
        if kind == "right":
            mask[row, length - pads :] = False
    return mask


compiled = jax.jit(forward, static_argnames="config")  # once a model for all paddings


def assert_logits_equal_torch(compute, name, padding, folder):
    config, params = load_config(folder), load(folder).params
    tokens = np.random.default_rng(1).integers(0, config.vocab_size, (3, 23))
    mask = valid_mask(padding, *tokens.shape)
    positions = np.maximum(mask.cumsum(1) - 1, 0)

    model = tiny_torch(name)
    extra = {} if config.family == "bloom" else {"position_ids": torch.from_numpy(positions)}
    with torch.no_grad():
        want = model(
            torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask).long(), **extra
        )
    got = compute(config, params, tokens, mask)
    want, got = want.logits.numpy()[mask], np.asarray(got)[mask]
    assert np.abs(want).max() > 1  # a comparison of near-zeros would show nothing
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("name", TINY)
def test_logits_equal_torch(name, padding, tiny_folder):
    assert_logits_equal_torch(compiled, name, padding, tiny_folder(name))


@pytest.mark.wrong_types
def test_a_mask_may_have_integers_and_has_the_shape_of_the_tokens(tiny_folder):
    config, params = load_config(tiny_folder("xglm")), load(tiny_folder("xglm")).params
    tokens, mask = np.full((3, 12), 7), valid_mask("left", 3, 12)
    got, want = (forward(config, params, tokens, one) for one in (mask.astype(int), mask))
    np.testing.assert_array_equal(got, want)
    for wrong in (mask[:, :5], mask[:1]):
        with pytest.raises(InputError, match=r"valid: got 'shape .*; expected \(3, 12\), that of"):
            forward(config, params, tokens, wrong)


@pytest.fixture(scope="module", params=["gpu", "tpu"])
def elsewhere(request):
    """`forward` as it attends on GPUs in float32, in small chunks, and by the kernel of TPUs, interpreted."""
    make = splash_attention.make_splash_mha_single_device
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attend, "platform", lambda: request.param)
        patch.setattr(by_keys, "CHUNKS", (8,))
        interpreted = functools.partial(make, interpret=True)
        patch.setattr(splash_attention, "make_splash_mha_single_device", interpreted)
        yield jax.jit(lambda *args: forward(*args), static_argnums=0)


@pytest.mark.parametrize("padding", ["left", "right"])
# ALiBi, grouped heads and windows, capped scores, several kinds of layers
@pytest.mark.parametrize("name", ["bloom-6-heads", "mistral", "gemma2", "gemma3"])
def test_logits_of_accelerators_paths_equal_torch_too(name, padding, elsewhere, tiny_folder):
    assert_logits_equal_torch(elsewhere, name, padding, tiny_folder(name))


BAD = {
    "a list": ([[1, 2]], "tokens: got .*; expected integers"),
    "one row": (np.array([1, 2]), "tokens: got .*; expected integers"),
    "floats": (np.ones((1, 2), np.float32), "tokens: got .*; expected integers"),
    "beyond": (np.array([[0, 131]]), "tokens: got 131; expected 0 to 130, the model's vocabulary"),
    "negative": (np.array([[-1, 3]]), "tokens: got -1; expected 0 to 130, the model's vocab"),
    "too many": (np.zeros((1, 65), int), "tokens: rows of 65; expected 64, the model's positions"),
}


def test_bfloat16_weights_have_the_scale_of_embeddings_that_torch_gives_them(tiny_folder):
    """The embedding alone, as products of bfloat16 differ between CPUs."""
    config = load_config(tiny_folder("gemma3"))
    assert config.embed_scale != config.with_scale("bfloat16").embed_scale
    assert config.with_scale("float32").embed_scale == np.float32(config.embed_scale)
    scale = tiny_torch("gemma3").model.embed_tokens.embed_scale.to(torch.bfloat16)
    assert config.with_scale("bfloat16").embed_scale == float(scale)


@pytest.mark.wrong_types
@pytest.mark.parametrize("case", BAD)
def test_tokens_that_a_gather_would_take_for_others_are_refused(case, tiny_folder):
    """By shape inside jit too, where values cannot be seen."""
    tokens, message = BAD[case]
    folder = tiny_folder("gpt2")
    config, params = load_config(folder), load(folder).params
    with pytest.raises(InputError, match=message):
        forward(config, params, tokens)
    if case == "too many":
        with pytest.raises(InputError, match=message):
            compiled(config, params, tokens)
