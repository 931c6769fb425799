"""Exact swaps against a plain loop; the error of the outputs never rises."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_methods import swaps
from small_samples import one_shape, sequences

import jaxprune as jp
from jaxprune.pruning.method import Pruned
from jaxprune.pruning.methods.swaps import exchanged

program = jax.jit(exchanged, static_argnums=3)


def case(seed, rows, outputs, pattern):
    """A kernel [in, out], the Gram matrix of correlated inputs, and a mask by size."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(3 * rows, rows)) @ rng.normal(size=(rows, rows))
    features *= np.exp(rng.normal(size=rows))
    kernel = rng.normal(size=(rows, outputs)).astype(np.float32)
    n, m = (rows // 2, rows) if pattern is None else pattern
    ranks = np.abs(kernel).reshape(rows // m, m, outputs).argsort(axis=1).argsort(axis=1)
    keep = (ranks >= m - n).reshape(kernel.shape)
    return kernel, (features.T @ features).astype(np.float32), keep


def errors(kernel, new, gram):
    difference = (kernel - new).astype(np.float64)
    return np.einsum("io,ij,jo->o", difference, gram.astype(np.float64), difference)


@pytest.mark.parametrize("pattern", [None, (2, 4), (4, 8)])
@pytest.mark.parametrize("updated", [False, True])
def test_exchanges_are_those_of_the_plain_loop(pattern, updated):
    kernel, gram, keep = case(0, 40, 12, pattern)
    start = np.where(keep, kernel, 0)
    if updated:  # as SparseGPT's kept weights
        start *= np.random.default_rng(1).uniform(0.8, 1.2, start.shape).astype(np.float32)
    group = None if pattern is None else pattern[1]
    before = Pruned(keep, start if updated else None)
    mask, new = program(kernel, before, gram, group)
    expected, expected_mask = swaps(kernel.T, start.T, keep.T, gram, group)
    assert (keep != expected_mask.T).mean() > 0.05
    np.testing.assert_array_equal(mask, expected_mask.T)
    np.testing.assert_allclose(new, expected.T, rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, (2, 4), (1, 8)]), st.floats(1e-3, 1e3))
def test_the_error_never_rises_and_as_many_weights_are_kept(seed, pattern, size):
    kernel, gram, keep = case(seed, 24, 6, pattern)
    group = None if pattern is None else pattern[1]
    mask, new = map(np.asarray, program(kernel, Pruned(keep), gram * np.float32(size), group))
    before, after = (errors(kernel, values, gram) for values in (np.where(keep, kernel, 0), new))
    assert (after <= before * (1 + 1e-5)).all()
    np.testing.assert_array_equal(new, np.where(mask, kernel, 0))
    kept = mask.reshape(-1, group or 24, 6).sum(axis=1)
    np.testing.assert_array_equal(kept, keep.reshape(-1, group or 24, 6).sum(axis=1))


@pytest.mark.parametrize(
    ("start", "pattern"), [("wanda", "2:4"), ("sparsegpt", "unstructured"), ("random", "2:4")]
)
def test_a_model_loses_less_at_the_inputs_of_its_first_block(start, pattern, tiny_folder):
    """With the Gram matrices that a pass of the dense model measures."""
    model, batches = jp.load(tiny_folder("qwen3")), [one_shape(sequences(seed=2))]
    stats = jp.probe(model, batches, statistics=["gram"], progress=False)
    how = {"sparsity": 0.5, "pattern": pattern, "propagate": "dense", "progress": False}
    (key,) = stats.sums
    dense = np.asarray(model.params["blocks"]["attention"]["query"]["kernel"][0])
    site = dict(stats.sites)["attention/query/kernel"]
    gram = stats.sums[key][site]["gram"][0]
    lost = {}
    for criterion, of in ((start, None), ("swaps", start)):
        result = jp.prune(model, batches, criterion=criterion, start=of, **how)
        new = np.asarray(result.params["blocks"]["attention"]["query"]["kernel"][0])
        lost[criterion] = errors(dense, new, gram).sum()
    assert lost["swaps"] < 0.95 * lost[start]
