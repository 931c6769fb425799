"""Refitted weights are the solution of least squares over the tokens, whatever the method of the mask."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from small_samples import one_shape, sequences

import jaxprune as jp
from jaxprune.pruning.method import Pruned
from jaxprune.pruning.refit import refitted

program = jax.jit(refitted)


@pytest.mark.parametrize("updated", [False, True])
def test_kept_weights_are_numpys_least_squares(updated):
    """The damping is a row for each input, which asks for the weights before pruning."""
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(300, 48)) @ rng.normal(size=(48, 48))).astype(np.float32)
    features *= np.exp(rng.normal(size=48)).astype(np.float32)
    kernel = rng.normal(size=(48, 20)).astype(np.float32)
    keep = rng.random(kernel.shape) < 0.5
    gram = features.T @ features
    start = np.where(keep, kernel * 1.1, 0) if updated else None
    found = np.asarray(program(kernel, Pruned(keep, start), gram))
    damping = np.sqrt(0.01 * np.diag(gram.astype(np.float64)).mean())
    rows = np.concatenate([features.astype(np.float64), damping * np.eye(48)])
    for output in range(20):
        kept = keep[:, output]
        targets = rows @ kernel[:, output].astype(np.float64)
        expected = np.linalg.lstsq(rows[:, kept], targets, rcond=None)[0]
        np.testing.assert_allclose(
            found[kept, output], expected, atol=2e-3 * np.abs(expected).max()
        )
        assert not found[~kept, output].any()


def test_features_that_are_always_0_leave_weights_as_they_are():
    kernel = np.ones((4, 2), np.float32)
    keep = np.array([[True, False]] * 4)
    np.testing.assert_array_equal(program(kernel, Pruned(keep), np.zeros((4, 4))), keep)


@pytest.mark.parametrize("criterion", ["wanda", "magnitude", "sparsegpt", "dsnot", "swaps"])
def test_every_method_can_be_refitted(criterion, tiny_folder):
    """The masks of the first block, whose inputs are the same, stay; its outputs on the samples change less."""
    model, batches = jp.load(tiny_folder("qwen3")), [one_shape(sequences(seed=2))]
    how = {"criterion": criterion, "sparsity": 0.5, "propagate": "dense", "progress": False}
    plain, refit = (jp.prune(model, batches, **how, refit=value) for value in (False, True))
    assert jp.masks.overlap(plain.masks, refit.masks).overall == 1
    stats = jp.probe(model, batches, statistics=["gram"], progress=False)
    (key,) = stats.sums
    dense, *others = (
        flatten_dict(dict(params["blocks"]), sep="/")
        for params in (model.params, plain.params, refit.params)
    )
    for path, site in dict(stats.sites).items():
        gram = np.asarray(stats.sums[key][site]["gram"], np.float64)
        before, after = (
            np.einsum("lio,lij,ljo->", change, gram, change)
            for change in (np.asarray(dense[path] - other[path], np.float64) for other in others)
        )
        assert after < (1.001 if criterion == "sparsegpt" else 0.97) * before, path


def test_it_reads_gram_matrices_of_the_samples():
    with pytest.raises(jp.InputError, match=r"combine: got 'max'.*with criterion wanda"):
        jp.Settings(refit=True, combine="max")
    assert jp.Settings(refit=True).method is jp.Settings(refit=True).method
    assert jp.Settings(refit=True).method.updates_weights
