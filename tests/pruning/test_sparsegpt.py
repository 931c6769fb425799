"""SparseGPT against a plain loop in float64, kernel by kernel and over whole models."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from conftest import tiny_torch
from plain_methods import sparsegpt
from small_samples import one_shape, sequences
from torch_loop import blocks_of, depth, input_sums, linears_of, weight_rows

import jaxprune as jp
from jaxprune.hf.source import InMemory
from jaxprune.hf.weights import to_stored
from jaxprune.pruning.budget import Budget, Selection
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.methods import METHODS
from jaxprune.stats.inverse_factor import DAMPING
from jaxprune.steps.planning.costs import Machines, Work
from jaxprune.steps.planning.plan import check_fits, planned

METHOD = METHODS["sparsegpt"]
PATTERNS = {"unstructured": None, "2:4": (2, 4), "4:8": (4, 8)}


SAMPLES = sequences(seed=2)


def selection(pattern, sparsity=0.5):
    return Selection(sparsity=sparsity if pattern == "unstructured" else None, pattern=pattern)


def pruned(kernel, gram, tokens, how):
    of_site = {"demonstrations": {"gram": gram}}, {"demonstrations": np.float32(tokens)}
    stats, counts = jax.device_put(of_site)
    prepared = METHOD.prepare(stats, counts)
    inputs = Inputs({}, "w", 0, key_of_seed(0), "corrected", prepared.stats, counts)
    budget = jax.device_put(Budget.of(how, "w", kernel.shape))
    return METHOD.prune(jnp.asarray(kernel), inputs, budget), prepared


def features(inputs, seed, dead=()):
    """[T, in], some of them nearly dependent, of very different sizes."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3 * inputs, inputs)) * np.exp(rng.normal(size=inputs))
    x[:, 1] = x[:, 0] + 0.01 * x[:, 1]
    x[:, list(dead)] = 0
    return x.astype(np.float32)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(
    ("inputs", "outputs", "dead"), [(304, 17, (3, 4, 200)), (128, 5, ()), (24, 40, (23,))]
)
def test_a_kernel_is_that_of_the_plain_loop(inputs, outputs, dead, pattern):
    """Also with inputs that are no multiple of 128, and features that are always 0."""
    x = features(inputs, seed=inputs, dead=dead)
    kernel = np.random.default_rng(1).normal(size=(inputs, outputs)).astype(np.float32)
    got, _ = pruned(kernel, x.T @ x, len(x), selection(pattern, 0.4))
    rows, keep = sparsegpt(kernel.T, x.T @ x, len(x), 0.4, PATTERNS[pattern])
    np.testing.assert_array_equal(got.keep, keep.T)
    np.testing.assert_allclose(got.kernel, rows.T, rtol=1e-3, atol=1e-4)
    assert not np.asarray(got.kernel)[~keep.T].any()


def prune_plainly(model, samples, propagate, how):
    """Prunes a torch model in place, with statistics of whole forward passes."""
    tokens = sum(map(len, samples))
    for layer in range(depth(model)):
        sums, groups = input_sums(model, [layer], samples, of=lambda x: x.T @ x)
        for names in groups[layer]:
            if propagate == "site":
                sums, _ = input_sums(model, [layer], samples, of=lambda x: x.T @ x)
            for name in names:
                rows = weight_rows(linears_of(blocks_of(model)[layer])[name])
                found, _ = sparsegpt(rows.numpy(), sums[layer, name], tokens, **how)
                rows.copy_(rows.new_tensor(found))


@pytest.mark.parametrize(
    ("name", "propagate", "pattern"),
    [("xglm", "block", "unstructured"), ("qwen3", "block", "4:8"), ("gemma3", "site", "2:4")],
)
def test_a_model_is_that_of_the_plain_loop(name, propagate, pattern, tiny_folder):
    """With samples for which no two scores are within rounding."""
    model = jp.load(tiny_folder(name))
    result = jp.prune(
        model, [one_shape(SAMPLES)], criterion="sparsegpt", propagate=propagate, progress=False,
        pattern=pattern, sparsity=0.5,
    )  # fmt: skip
    reference = tiny_torch(name)
    prune_plainly(reference, SAMPLES, propagate, {"sparsity": 0.5, "pattern": PATTERNS[pattern]})
    want = reference.state_dict()
    for layer in range(model.config.n_layers):
        block = jax.tree.map(lambda leaf, at=layer: leaf[at], result.params["blocks"])
        for tensor, value in to_stored(model.config, block, "blocks", layer).items():
            other = want[tensor].numpy()
            np.testing.assert_array_equal(value == 0, other == 0)
            np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-4 * np.abs(other).max())
    zeros = 1 - jp.masks.density(result.masks).overall
    assert zeros == pytest.approx(0.5, abs=0.01)


def test_damping_is_raised_where_it_must_be():
    """A matrix with the eigenvalue -0.5 of a mean of 1 needs a damping above 0.5."""
    inputs = 16
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(inputs, inputs)))
    values = np.ones(inputs)
    values[0] = -0.5
    values *= inputs / values.sum()
    gram = ((q * values) @ q.T / 2 * 100).astype(np.float32)
    kernel = np.ones((inputs, 4), np.float32)
    _, prepared = pruned(kernel, gram, 100, Selection(sparsity=0.5))
    assert float(prepared.damping) == pytest.approx(1)
    _, prepared = pruned(kernel, np.eye(inputs, dtype=np.float32), 100, Selection(sparsity=0.5))
    assert float(prepared.damping) == pytest.approx(DAMPING)
    values[0] = -1000
    _, prepared = pruned(
        kernel, ((q * values) @ q.T).astype(np.float32), 100, Selection(sparsity=0.5)
    )
    assert np.isnan(prepared.damping)


def with_gram(tiny_folder, change):
    """A model, and its statistics with one Gram matrix changed."""
    model = jp.load(tiny_folder("bloom"))
    stats = jp.probe(model, [one_shape(SAMPLES)], statistics=["gram"], progress=False)
    (key,) = stats.sums
    gram = stats.sums[key]["mlp_in"]["gram"]
    gram[1] = change(gram[1])
    return model, stats


def pruned_by(model, stats):
    settings = jp.Settings(criterion="sparsegpt", propagate="dense")
    return list(jp.prune_blocks(model, [], settings, stats=stats, progress=False))


def test_a_layer_without_a_factor_is_named(tiny_folder):
    model, stats = with_gram(tiny_folder, lambda gram: gram - 1e4 * np.diag(gram).mean())
    with pytest.raises(jp.InputError, match=r"layer 1, site mlp_in: the Gram matrix .* damping"):
        pruned_by(model, stats)


def test_raised_damping_is_in_the_result_of_its_layer(tiny_folder):
    def change(gram):
        values, vectors = np.linalg.eigh(gram)
        values[0] = -0.5 * np.diag(gram).mean()
        return (vectors * values) @ vectors.T

    model, stats = with_gram(tiny_folder, change)
    found = [block.finished.damping for block in pruned_by(model, stats)]
    assert found == [{}, {"mlp_in": pytest.approx(1)}, *[{}] * (model.config.n_layers - 2)]


def test_weights_of_bfloat16_are_those_of_float32_rounded_once(tiny_folder):
    """With equal statistics: the update itself is in float32."""
    model = jp.load(tiny_folder("bloom"))
    small = jax.tree.map(lambda leaf: leaf.astype(ml_dtypes.bfloat16), model.params)
    exact = jax.tree.map(lambda leaf: leaf.astype(np.float32), small)
    stats = jp.probe(model, [one_shape(SAMPLES)], statistics=["gram"], progress=False)
    found = [
        pruned_by(jp.Model(model.config, Path("nowhere"), InMemory(model.config, params)), stats)
        for params in (small, exact)
    ]
    for one, other in zip(*found, strict=True):
        assert one.finished.changed.keys() == one.keep.keys()
        for path, leaf in one.finished.changed.items():
            assert leaf.dtype == ml_dtypes.bfloat16
            np.testing.assert_array_equal(leaf, other.finished.changed[path].astype(leaf.dtype))


def test_a_plan_that_does_not_fit_names_the_propagation_that_measures_one_site_at_a_time(
    tiny_folder,
):
    config = jp.load(tiny_folder("qwen3")).config
    work = Work(config=config, groups=((8, 64),), gram=True)
    apart = dataclasses.replace(work, propagate="site")
    needed, least = (
        sum(planned(one, Machines(), (None, None)).device.values()) for one in (work, apart)
    )
    assert least < needed
    with pytest.raises(jp.InputError, match=r"expected pruning\.propagate=site"):
        check_fits(planned(work, Machines(), (1, None)))
