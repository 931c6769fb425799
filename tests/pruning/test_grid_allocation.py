"""Errors by which kernels get grids: divergences of predictions, measured by torch."""

import jax.numpy as jnp
import numpy as np
import pytest
from torch_loop import divergence_with

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
    return np.asarray(with_searched_scales(*arrays, GRIDS["q4_0"]).values())


def errors(model, batches):
    mesh = given_mesh(None)
    return measured_errors(
        model, batches, Settings(), grids=GRIDS_BY_BITS, mesh=mesh, progress=False
    )


def test_errors_are_divergences_of_predictions_with_one_kernel_rounded():
    model = jp.load("nano/bloom")
    batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
    squares = jp.probe(model, batches, progress=False).sum_sq["translation"]["mlp_out"][1]
    kernel = np.asarray(model.block(1)["mlp"]["out"]["kernel"], np.float32)
    rounded = on_grid(kernel, squares)
    expected = divergence_with(model.folder, batches, 1, "mlp.dense_4h_to_h", rounded)
    measured = errors(model, batches)
    # differences of logarithms in float32
    assert measured[1][MLP][0] == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert 200 < measured[1][MLP][0] / measured[1][MLP][1] < 400  # a level is 16 times as fine


def test_without_samples_errors_are_those_of_the_weights():
    model = jp.load("nano/bloom")
    kernel = np.asarray(model.block(1)["mlp"]["out"]["kernel"], np.float32)
    rounded = on_grid(kernel, np.ones(len(kernel)))
    share = np.square(rounded - kernel).sum() / np.square(kernel).sum()
    assert errors(model, [])[1][MLP][0] == pytest.approx(share * kernel.size, rel=1e-4)
