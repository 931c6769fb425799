"""bfloat16 where it is multiplied as float32: against numpy's products of rounded numbers, and XLA's of bfloat16."""

from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from device_jobs import xglm_shaped
from flax import nnx
from jobs import job

import jaxprune as jp
from jaxprune.base.workdir.differences import difference
from jaxprune.data.ready_tokens import samples_of
from jaxprune.devices import products
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.models.block import SITES
from jaxprune.models.model import modules
from jaxprune.stats.blocks import blocks
from jaxprune.stats.grouping import grouped
from jaxprune.steps.identity import run_identity
from jaxprune.steps.planning.plan import plan_from_config, print_plan

NANO = Path(jp.__file__).parent / "nano" / "checkpoints" / "bloom"


@pytest.fixture
def multiplying(monkeypatch):
    """Says of the CPU that it has instructions for bfloat16, or has none."""

    def say(native):
        monkeypatch.setattr(products, "_every_process_prefers_bfloat16", lambda: native)

    return say


def rounded(x):
    return np.asarray(x).astype(ml_dtypes.bfloat16).astype(np.float32)


def both(multiplying, compute):
    """What is computed with bfloat16 multiplied as it is, and as float32."""
    results = []
    for native in (True, False):
        multiplying(native)
        results.append(compute())
    return results


def test_every_product_is_float32_s_of_rounded_numbers(multiplying):
    multiplying(False)
    model = xglm_shaped(1)
    config = model.config_in("bfloat16")
    [(stored, params)] = blocks(model, "bfloat16", device_mesh(1))
    assert {leaf.dtype.name for leaf in jax.tree.leaves(params)} == {"float32"}
    jax.tree.map(
        lambda got, leaf: np.testing.assert_array_equal(got, rounded(leaf)), params, stored
    )
    block = nnx.merge(modules(config).block[0], params)
    x = jax.random.normal(jax.random.key(0), (2, 7, config.d_model))

    def linear(layer, u):
        return u @ rounded(layer["kernel"]) + rounded(layer["bias"])

    residual, u = block.enter(x)
    np.testing.assert_array_equal(u, rounded(block.attention_norm(x)))
    np.testing.assert_array_equal(residual, x)
    q, _, _ = block.attention.heads(u)
    want = linear(stored["attention"]["query"], np.asarray(u)).reshape(q.shape)
    np.testing.assert_allclose(q, want, rtol=1e-5, atol=1e-5)
    for site in SITES[:3]:
        before = residual, u
        residual, u = block.leave(site, residual, u)
        np.testing.assert_array_equal(u, rounded(u))
        if site == "attention_out":
            want = before[0] + linear(stored["attention"]["out"], np.asarray(before[1]))
            np.testing.assert_allclose(residual, want, rtol=1e-5, atol=1e-5)
    out, _ = block.leave("mlp_out", residual, u)
    want = np.asarray(residual) + linear(stored["mlp"]["out"], np.asarray(u))
    np.testing.assert_allclose(out, want, rtol=1e-5, atol=1e-5)


def test_masks_and_statistics_hardly_differ(multiplying):
    """From each other by far less than from float32's; before the first product not at all."""
    model = xglm_shaped(2)
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, model.config.vocab_size, (6, 24)).astype(np.int32)
    batches = grouped([samples_of(tokens, np.ones_like(tokens, bool))])

    def pruned(dtype="bfloat16"):
        result = jp.prune(model, batches, sparsity=0.5, dtype=dtype, progress=False)
        [sums] = result.stats.sum_sq.values()
        return sums, jax.tree.leaves(result.masks)

    (native, kept), (as_float32, same) = both(multiplying, pruned)
    exact, other = pruned("float32")
    np.testing.assert_array_equal(native["qkv"][0], as_float32["qkv"][0])
    assert (native["qkv"][0] != exact["qkv"][0]).any()
    for site in SITES:
        np.testing.assert_allclose(native[site], as_float32[site], rtol=1e-3)

    def disagreeing(one, two):
        return sum(np.sum(a != b) for a, b in zip(one, two, strict=True))

    assert 20 * disagreeing(kept, same) < disagreeing(kept, other)


def test_scores_and_tokens_hardly_differ(multiplying):
    model = xglm_shaped(2)
    rng = np.random.default_rng(2)
    sequences = rng.integers(0, model.config.vocab_size, (3, 20)).tolist()

    def scored(dtype="bfloat16"):
        scores = Scorer(model, dtype=dtype, progress=False)(sequences)
        return np.concatenate([one.log_probabilities for one in scores])

    def generated():
        return Generator(model, dtype="bfloat16", progress=False)(sequences, max_new_tokens=4)

    native, as_float32 = both(multiplying, scored)
    exact = scored("float32")
    tokens, same = both(multiplying, generated)
    assert tokens == same
    assert 20 * np.abs(native - as_float32).mean() < np.abs(native - exact).mean()


def test_a_run_is_another_one_where_products_are(multiplying):
    model = jp.load(NANO)

    def records(dtype):
        config = job(model.folder, dtype=dtype)
        return both(multiplying, lambda: run_identity(model, config.json(), []))

    assert difference(*records("bfloat16")) == "products 'bfloat16', now 'float32'"
    assert difference(*records("float32")) is None


def test_a_plan_counts_the_bytes_that_lie_on_devices(multiplying, capsys):
    def planned(dtype):
        config = job(NANO, dtype=dtype, calibration__data="nano")
        return config, plan_from_config(config)

    multiplying(True)
    native = planned("bfloat16")[1].device["weights"]
    multiplying(False)
    config, plan = planned("bfloat16")
    assert plan.device["weights"] == 2 * native == planned("float32")[1].device["weights"]
    print_plan(config, plan)
    assert ", propagate block, bfloat16 as float32\n" in capsys.readouterr().out
