"""DSnoT against a plain loop, on top of each method."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict
from plain_methods import dsnot
from small_samples import one_shape, sequences

import jaxprune as jp
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.methods import METHODS, STARTS


@pytest.mark.parametrize(
    ("name", "start", "pattern"),
    [
        ("xglm", "wanda", "unstructured"),
        ("bloom", "magnitude", "2:4"),
        ("qwen3", "sparsegpt", "4:8"),
    ],
)
def test_masks_are_those_of_the_plain_loop(name, start, pattern, tiny_folder):
    """With the statistics of one dense pass; a decision within rounding of another may differ."""
    model, how = jp.load(tiny_folder(name)), {"pattern": pattern, "sparsity": 0.5}
    needs = {s for _, s in (*METHODS["dsnot"].needs, *METHODS[start].needs)}
    stats = jp.probe(
        model, [one_shape(sequences(seed=2))], statistics=sorted(needs), progress=False
    )

    def masks(**settings):
        settings = jp.Settings(propagate="dense", **how, **settings)
        blocks = jp.prune_blocks(model, [], settings, stats=stats, progress=False)
        return [(block.keep, block.params) for block in blocks]

    (key,), moved = stats.sums, 0
    dense = flatten_dict(dict(model.params["blocks"]), sep="/")
    sites = dict(stats.sites)
    got, started = masks(criterion="dsnot", start=start), masks(criterion=start)
    same, count = 0, 0
    for layer, ((keep, params), (before, _)) in enumerate(zip(got, started, strict=True)):
        after = flatten_dict(params, sep="/")
        for path, mask in keep.items():
            site = stats.sums[key][sites[path]]
            want = dsnot(
                np.asarray(dense[path][layer]).T, before[path].T, site["sums"][layer],
                site["squares"][layer], stats.tokens[key],
                group=None if pattern == "unstructured" else int(pattern[-1]),
            ).T  # fmt: skip
            moved += (want != before[path]).sum()
            same, count = same + (mask == want).sum(), count + mask.size
            np.testing.assert_array_equal(mask.sum(axis=0), before[path].sum(axis=0))
            np.testing.assert_array_equal(after[path], np.where(mask, dense[path][layer], 0))
    assert moved > count / 100
    assert same / count > 0.999


def test_sparsegpts_mask_of_a_kernel_in_bfloat16_is_that_of_its_values():
    """As a device has it that multiplies bfloat16."""
    rng = np.random.default_rng(0)
    method = jp.Settings(criterion="sparsegpt").method
    kernel = jnp.asarray(rng.normal(size=(40, 24)), jnp.bfloat16)
    features = rng.normal(size=(200, 40)).astype(np.float32)
    settings = jp.Settings(criterion="sparsegpt", sparsity=0.5)
    budget = Budget.of(settings, "mlp/up/kernel", kernel.shape, 0.5)
    stats, _ = method.prepare(
        {"demonstrations": {"gram": jnp.asarray(features.T @ features)}},
        {"demonstrations": jnp.float32(200)},
    )
    inputs = Inputs({}, "mlp/up/kernel", np.int32(0), key_of_seed(0), "corrected", stats, {})
    prune = jax.jit(method.prune)
    one, other = (
        prune(values, inputs, budget).keep for values in (kernel, kernel.astype(jnp.float32))
    )
    np.testing.assert_array_equal(one, other)


def test_a_random_start_is_one_pattern_for_all_columns():
    """As the criterion alone; not the same one in each stripe of 128 columns."""
    model = jp.load("nano/bloom")
    samples = jp.demonstrations(model.tokenizer, "nano", samples=4)
    found = [
        jp.prune(model, samples, sparsity=0.5, seed=3, progress=False, **fields).masks
        for fields in ({"criterion": "dsnot", "start": "random"}, {"criterion": "random"})
    ]
    assert jp.masks.overlap(*found).overall > 0.5  # of independent masks 1/3
    (keep,) = (one["blocks"]["mlp"]["up"]["kernel"][0] for one in found[:1])
    assert (keep[:, :128] == keep[:, 128:256]).mean() < 0.6


def test_one_program_serves_each_start():
    records = [jp.Settings(criterion="dsnot", start=start).method for start in STARTS]
    again = [jp.Settings(criterion="dsnot", start=start).method for start in STARTS]
    assert all(one is other for one, other in zip(records, again, strict=True))
    assert (
        jp.Settings(criterion="dsnot").method
        is jp.Settings(criterion="dsnot", start="wanda").method
    )
