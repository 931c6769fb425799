"""Roundings against plain loops in float64, and what their results must be."""

import dataclasses

import gguf
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_methods import gptq, searched_scales

from jaxprune.models.grids import GRIDS
from jaxprune.models.grids.grid import Quantized, in_float16, values_of
from jaxprune.models.grids.solving import solved
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.roundings import ROUNDINGS

QUANTIZED = [name for name, grid in GRIDS.items() if grid.levels]
TOKENS = 600


def problem(inputs=160, outputs=24, seed=0):
    """A kernel [in, out] and the features [T, in] that it reads, some of them nearly dependent."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(TOKENS, inputs)) * np.exp(rng.normal(size=inputs))
    x[:, 1::2] = x[:, ::2] + 0.3 * x[:, 1::2]
    return (0.05 * rng.normal(size=(inputs, outputs))).astype(np.float32), x.astype(np.float32)


def record(name, grid, kernel, x, keep=None):
    """The kernel after a rounding, compiled as in a run."""
    rounding = ROUNDINGS[name]
    stats = {"gram": x.T @ x, "squares": (x * x).sum(axis=0)}
    needed = {"demonstrations": {name: stats[name] for _, name in rounding.needs}}
    counts = {"demonstrations": np.float32(len(x))}
    if rounding.prepare is not None:
        needed = rounding.prepare(jax.device_put(needed), jax.device_put(counts)).stats
    inputs = Inputs({}, "w", 0, key_of_seed(0), "corrected", needed, counts, keep)
    if rounding.on_host:
        return rounding.round(kernel, inputs, GRIDS[grid])
    function = jax.jit(
        lambda w, stats: rounding.round(w, dataclasses.replace(inputs, stats=stats), GRIDS[grid])
    )
    return jax.device_get(function(jnp.asarray(kernel), needed))


def rounded(name, grid, kernel, x, keep=None):
    return np.asarray(values_of(record(name, grid, kernel, x, keep)))


def loss(kernel, new, x):
    """Share of the squared outputs that the rounding changes."""
    return np.square(x @ (new - kernel)).sum() / np.square(x @ kernel).sum()


@pytest.mark.parametrize("grid", QUANTIZED)
def test_gptq_is_the_plain_loop(grid):
    kernel, x = problem()
    levels = np.array(GRIDS[grid].levels, np.float64)
    plain = gptq(kernel.T, x.T @ x, TOKENS, levels, GRIDS[grid].extremes).T
    new = rounded("gptq", grid, kernel, x)
    assert np.mean(np.isclose(new, plain, rtol=1e-3, atol=1e-8)) > 0.97
    assert loss(kernel, new, x) == pytest.approx(loss(kernel, plain, x), rel=0.02)


@pytest.mark.parametrize("grid", QUANTIZED)
def test_searched_scales_are_the_plain_loops(grid):
    kernel, x = problem()
    new = rounded("search", grid, kernel, x)
    importance, levels = np.square(x).mean(axis=0), np.array(GRIDS[grid].levels, np.float64)
    for start in range(0, len(kernel), 32):
        block = slice(start, start + 32)
        scales = searched_scales(kernel[block].T, importance[block], levels, GRIDS[grid].extremes)
        multiples = new[block] / scales.astype(np.float32)
        exact = np.isclose(multiples, np.round(multiples), atol=1e-3).all(axis=0)
        assert exact.mean() > 0.9


@pytest.mark.parametrize("grid", QUANTIZED)
@pytest.mark.parametrize("name", ROUNDINGS)
def test_records_pack_to_their_very_values_and_back(name, grid):
    """In llama.cpp's layout; the record that is solved from the values has the same ones."""
    kernel, x = problem()
    kernel[:32, 3] = 0
    new = record(name, grid, kernel, x)
    values = np.ascontiguousarray(np.asarray(new.values()).T)
    stored = GRIDS[grid].pack(new)
    assert stored.size * 8 == GRIDS[grid].bits * kernel.size
    assert (
        gguf.dequantize(stored, gguf.GGMLQuantizationType[grid.upper()]).tobytes()
        == values.tobytes()
    )
    back = GRIDS[grid].unpack(stored)
    for ours, other in zip(jax.tree.leaves(new), jax.tree.leaves(back), strict=True):
        assert np.array_equal(np.asarray(ours), other)
        assert np.asarray(ours).dtype == other.dtype
    again = np.ascontiguousarray(solved(GRIDS[grid], values).values().T)
    assert again.tobytes() == values.tobytes()


@pytest.mark.parametrize("grid", ["q4_0", "q5_0", "q8_0"])
def test_dropped_weights_have_the_level_0_and_gptq_compensates_with_the_others(grid):
    kernel, x = problem()
    keep = np.random.default_rng(1).random(kernel.shape) < 0.5
    keep[:32, 5] = False
    kernel *= keep
    for name in ROUNDINGS:
        new = record(name, grid, kernel, x, keep)
        assert not np.asarray(new.levels)[~keep].any()
    levels = np.array(GRIDS[grid].levels, np.float64)
    new = rounded("gptq", grid, kernel, x, keep)
    others = np.arange(kernel.shape[1]) != 5  # whose first group has no scale in the plain loop
    plain = gptq(
        kernel.T[others], x.T @ x, TOKENS, levels, GRIDS[grid].extremes, keep=keep.T[others]
    )
    assert np.mean(np.isclose(new[:, others], plain.T, rtol=1e-3, atol=1e-8)) > 0.97
    assert loss(kernel[:, others], new[:, others], x) == pytest.approx(
        loss(kernel[:, others], plain.T, x), rel=0.02
    )


@pytest.mark.parametrize("grid", QUANTIZED)
def test_projected_scales_are_those_of_the_file_and_gradients_pass(grid):
    kernel, x = problem()
    new = record("search", grid, kernel, x)
    masters = {"d": jnp.asarray(new.scales["d"]) * 1.003}

    def total(masters):
        return (
            Quantized(jnp.asarray(new.levels), GRIDS[grid].project(masters), GRIDS[grid])
            .values()
            .sum()
        )

    projected = GRIDS[grid].project(masters)["d"]
    assert np.array_equal(projected, np.asarray(masters["d"]).astype(np.float16).astype(np.float32))
    gradient = jax.grad(total)(masters)["d"]
    by_group = new.levels.reshape(-1, 32, kernel.shape[1]).sum(axis=1, dtype=np.int32)
    assert np.allclose(gradient, by_group)


@pytest.mark.parametrize("grid", ["q4_0", "iq4_nl"])
def test_compensation_loses_less_than_scales_and_scales_less_than_rounding(grid):
    kernel, x = problem()
    losses = [
        loss(kernel, rounded(name, grid, kernel, x), x) for name in ("gptq", "search", "nearest")
    ]
    assert losses == sorted(losses)
    assert losses[0] < 0.5 * losses[2]


def test_scales_are_rounded_as_by_a_cast():
    """Also below 2**-14, where float16 is subnormal, and in a compiled program."""
    rng = np.random.default_rng(0)
    scales = rng.normal(size=4000) * 2.0 ** rng.uniform(-30, 14, size=4000)
    scales = scales.astype(np.float32)
    expected = scales.astype(np.float16).astype(np.float32)
    assert np.array_equal(jax.jit(in_float16)(scales), expected)


def test_weights_off_the_grid_have_no_record():
    weights = np.random.default_rng(0).normal(size=(2, 32)).astype(np.float32)
    for name in QUANTIZED:
        with pytest.raises(ValueError, match=name):
            solved(GRIDS[name], weights)
