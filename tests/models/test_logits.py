"""Models against transformers' torch implementations on tiny random configs, and published shapes."""

import jax
import numpy as np
import pytest
import torch
from conftest import TINY, tiny_torch

from jaxprune.hf.weights import Weights
from jaxprune.models import load_config, logits


def valid_mask(kind, rows, length):
    mask = np.ones((rows, length), bool)
    for row, pads in enumerate((0, 5, 9)):
        if kind == "left":
            mask[row, :pads] = False
        if kind == "right":
            mask[row, length - pads :] = False
    return mask


compiled = jax.jit(logits, static_argnames="config")  # once a model for all paddings


@pytest.mark.parametrize("padding", ["none", "left", "right"])
@pytest.mark.parametrize("name", TINY)
def test_logits_equal_torch(name, padding, tiny_folder):
    folder = tiny_folder(name)
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
    got = compiled(params, config, tokens, mask)
    want, got = want.logits.numpy()[mask], np.asarray(got)[mask]
    assert np.abs(want).max() > 1  # a comparison of near-zeros would show nothing
    np.testing.assert_allclose(got, want, atol=1e-4)
