"""Errors by which kernels get grids: those of a block's outputs, measured by torch."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
import transformers
from torch_loop import blocks_of

import jaxprune as jp
from jaxprune.devices.sharding import given_mesh
from jaxprune.models.grids import GRIDS
from jaxprune.pruning.grid_allocation import measured_errors
from jaxprune.pruning.roundings.search import with_searched_scales
from jaxprune.pruning.settings import Settings

MLP = "mlp/out/kernel"
GRIDS_BY_BITS = GRIDS["q4_0"], GRIDS["q8_0"]


def on_grid(kernel, importance):
    arrays = (jnp.asarray(array, jnp.float32) for array in (kernel, importance))
    return np.asarray(with_searched_scales(*arrays, GRIDS["q4_0"]))


def errors(model, batches):
    options = {"mesh": given_mesh(None), "samples_per_device": 2, "progress": False}
    return measured_errors(model, batches, Settings(), grids=GRIDS_BY_BITS, **options)


def test_errors_are_those_of_the_outputs_of_a_block():
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
    stats = jp.probe(model, batches, progress=False)
    squares = stats.sum_sq["translation"]["mlp_out"][0]
    kernel = np.asarray(model.block(0)["mlp"]["out"]["kernel"], np.float32)
    rounded = on_grid(kernel, squares)
    dense = transformers.AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    seen = []
    first = blocks_of(dense.eval())[0]
    first.register_forward_hook(lambda _, inputs, output: seen.append(output))
    before, after = 0.0, 0.0
    for batch in batches:
        ids, valid = torch.tensor(batch.tokens.astype(np.int64)), batch.valid
        outputs = []
        for weight in (kernel, np.asarray(rounded)):
            first.mlp.dense_4h_to_h.weight.data = torch.tensor(weight.T)
            with torch.no_grad():
                dense(input_ids=ids)
            output = seen.pop()
            outputs.append((output[0] if isinstance(output, tuple) else output).numpy()[valid])
        before += np.square(outputs[0], dtype=np.float64).sum()
        after += np.square(outputs[1] - outputs[0], dtype=np.float64).sum()
    measured = errors(model, batches)
    assert measured[0][MLP][0] == pytest.approx(after / before, rel=1e-3)
    assert 200 < measured[0][MLP][0] / measured[0][MLP][1] < 400  # a level is 16 times as fine


def test_without_samples_errors_are_those_of_the_weights():
    model = jp.load("nano/bloom")
    kernel = np.asarray(model.block(1)["mlp"]["out"]["kernel"], np.float32)
    rounded = on_grid(kernel, np.ones(len(kernel)))
    share = np.square(rounded - kernel).sum() / np.square(kernel).sum()
    assert errors(model, [])[1][MLP][0] == pytest.approx(share * kernel.size, rel=1e-4)
