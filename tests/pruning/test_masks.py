"""Masks against plain loops and set identities."""

import functools
import math

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from device_jobs import on_eight_devices
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxprune.base.errors import InputError
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.pruning import masks

SHAPES = {"up": (3, 4, 5), "out": (3, 7, 2)}


def tree_of(up, out):
    return {"blocks": {"mlp": {"up": {"kernel": up}, "out": {"kernel": out}}}}


def booleans(shape):
    return hnp.arrays(bool, shape)


mask_trees = st.builds(tree_of, booleans(SHAPES["up"]), booleans(SHAPES["out"]))


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def sorted_keep(scores, k):
    """Stable sort of finite scores: the first k of every column go."""
    keep = np.ones(scores.shape, bool)
    for layer in np.ndindex(*scores.shape[:-2]):
        for column in range(scores.shape[-1]):
            order = np.argsort(scores[layer][:, column], kind="stable")
            keep[layer][order[:k], column] = False
    return keep


@pytest.fixture
def scores():
    rng = np.random.default_rng(0)
    # Rounded, so that there are ties.
    return tree_of(*(rng.random(SHAPES[name]).round(1).astype(np.float32) for name in SHAPES))


@pytest.mark.parametrize(
    ("under_jit", "sparsity"),
    [(False, 0.0), (False, 0.1), (False, 0.5), (False, 0.99), (True, 0.3)],
)
def test_keep_drops_int_of_in_times_sparsity(scores, sparsity, under_jit):
    keep = functools.partial(masks.keep, sparsity=sparsity)
    result = (jax.jit(keep) if under_jit else keep)(scores)
    for name, shape in SHAPES.items():
        k = int(shape[-2] * sparsity)
        leaf = np.asarray(result["blocks"]["mlp"][name]["kernel"])
        assert leaf.dtype == bool
        np.testing.assert_array_equal(leaf, sorted_keep(scores["blocks"]["mlp"][name]["kernel"], k))


def test_keep_of_one_block_is_a_slice_of_the_stacked_masks(scores):
    stacked = jax.device_get(masks.keep(scores, sparsity=0.5))
    for layer in range(3):
        one = jax.tree.map(lambda leaf, layer=layer: leaf[layer], scores)
        same(masks.keep(one, sparsity=0.5), jax.tree.map(lambda m, i=layer: m[i], stacked))


def test_keep_pattern_and_its_sparsity():
    scores = {"a": np.random.default_rng(1).random((2, 16, 3)).astype(np.float32)}
    keep = masks.keep(scores, pattern="2:4")
    same(keep, masks.keep(scores, 0.5, pattern="2:4"))
    groups = np.asarray(keep["a"]).reshape(2, 4, 4, 3)
    assert (groups.sum(axis=2) == 2).all()
    np.testing.assert_array_equal(
        groups, sorted_keep(scores["a"].reshape(2, 4, 4, 3), 2)
    )  # fmt: skip
    third = masks.keep({"a": np.zeros((6, 1))}, 2 / 3, pattern="1:3")["a"]
    assert third[:, 0].tolist() == [0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sparsity": 1.0}, "sparsity: got 1.0; expected 0 <= sparsity < 1"),
        ({"sparsity": math.nan}, "sparsity: got nan; expected"),
        ({}, "sparsity: got None; expected"),
        ({"sparsity": 0.3, "pattern": "2:4"}, "sparsity: got 0.3; expected 0.5 or none"),
        ({"sparsity": 0.3, "pattern": "4:2"}, "pattern: got '4:2'; expected unstructured, or N:M"),
        ({"pattern": "0:4"}, "pattern: got '0:4'; expected"),
        ({"pattern": "3:5"}, "pattern: mlp/a has 4 inputs; expected a multiple of 5"),
        ({"pattern": "2:4", "threshold": "variant"}, "threshold: got 'variant'; expected row"),
        ({"sparsity": 0.3, "threshold": "rows"}, "threshold: got 'rows'; expected row, variant"),
        ({"sparsity": 0.3, "drop": "low"}, "drop: got 'low'; expected lowest, highest"),
    ],
)
def test_keep_refuses_in_one_line(options, message):
    with pytest.raises(InputError) as error:
        masks.keep({"mlp": {"a": np.zeros((4, 2), np.float32)}}, **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("shape", [(), (4,), (1, 2, 4, 2)])
def test_keep_refuses_scores_that_are_no_kernels(shape):
    for options in ({"sparsity": 0.5}, {"pattern": "2:4"}):
        with pytest.raises(
            InputError, match=r"scores: mlp/a has shape .*; expected \[in, out\] or"
        ):
            masks.keep({"mlp": {"a": np.zeros(shape, np.float32)}}, **options)
    with pytest.raises(InputError, match="scores: mlp/a: got str; expected an array"):
        masks.keep({"mlp": {"a": "text"}}, 0.5)
    with pytest.raises(InputError, match="scores: got ndarray; expected a nested dict of arrays"):
        masks.keep(np.zeros((4, 2), np.float32), 0.5)


def test_sharded_parameters_keep_their_sharding():
    on_eight_devices("sharded_masks")


# Algebra.


@given(mask_trees, mask_trees, mask_trees)
@settings(deadline=None, max_examples=15)  # of 177 bits each
def test_set_identities(a, b, c):
    same(masks.invert(masks.union(a, b)), masks.intersect(masks.invert(a), masks.invert(b)))
    same(masks.invert(masks.intersect(a, b)), masks.union(masks.invert(a), masks.invert(b)))
    same(masks.union(masks.difference(a, b), masks.intersect(a, b)), a)
    same(masks.intersect(a, masks.union(b, c)),
         masks.union(masks.intersect(a, b), masks.intersect(a, c)))  # fmt: skip
    same(masks.invert(masks.invert(a)), a)
    same(masks.difference(a, b), jax.tree.map(lambda x, y: x & ~y, a, b))
    same(masks.intersect(a, b), jax.tree.map(np.logical_and, a, b))


@given(mask_trees, mask_trees)
@settings(deadline=None, max_examples=20)
def test_density_and_overlap_count(a, b):
    kept = [leaf["kernel"] for leaf in a["blocks"]["mlp"].values()]
    other = [leaf["kernel"] for leaf in b["blocks"]["mlp"].values()]
    density, overlap = masks.density(a), masks.overlap(a, b)
    total = sum(leaf.size for leaf in kept)
    assert density.overall == sum(int(leaf.sum()) for leaf in kept) / total
    assert density.leaves == {
        f"blocks/mlp/{name}/kernel": int(leaf.sum()) / leaf.size
        for name, leaf in zip(SHAPES, kept, strict=True)
    }

    def iou(pairs):
        both = sum(int((x & y).sum()) for x, y in pairs)
        either = sum(int((x | y).sum()) for x, y in pairs)
        return both / either if either else 1.0

    pairs = list(zip(kept, other, strict=True))
    assert overlap.overall == iou(pairs)
    assert overlap.leaves["blocks/mlp/out/kernel"] == iou(pairs[1:])
    for layer in range(3):
        flat = np.concatenate([leaf[layer].ravel() for leaf in kept])
        assert density.layers[layer] == int(flat.sum()) / flat.size
        assert overlap.layers[layer] == iou([(x[layer], y[layer]) for x, y in pairs])
    packed = masks.pack(a), masks.pack(b)
    assert (masks.density(packed[0]), masks.overlap(*packed)) == (density, overlap)
    one = jax.tree.map(lambda leaf: leaf[0], a)
    assert masks.density(masks.pack(one)) == masks.density(one)


def test_shares_of_one_block_and_of_nothing():
    one = {"a": np.array([[True, False]]), "b": np.ones((1, 6), bool)}
    assert masks.density(one) == masks.Shares({"a": 0.5, "b": 1.0}, (7 / 8,), 7 / 8)
    none = masks.invert(masks.union(one, masks.invert(one)))
    assert masks.overlap(none, none).overall == 1.0
    assert masks.overlap(none, one) == masks.Shares({"a": 0.0, "b": 0.0}, (0.0,), 0.0)
    assert masks.density({}) == masks.Shares({}, (), 1.0)


@pytest.mark.parametrize("combine", [masks.intersect, masks.union, masks.difference, masks.overlap])
def test_masks_of_different_models_are_refused_by_path(combine):
    ones = functools.partial(np.ones, dtype=bool)
    a = tree_of(ones((3, 4, 5)), ones((3, 7, 2)))
    misshapen = r"blocks/mlp/up/kernel is \(3, 4, 5\) in the first and \(2, 4, 5\) in the second"
    with pytest.raises(InputError, match=misshapen):
        combine(a, tree_of(ones((2, 4, 5)), ones((3, 7, 2))))
    fewer = {"blocks": {"mlp": {"up": a["blocks"]["mlp"]["up"]}}}
    with pytest.raises(InputError, match=r"mlp/out/kernel is \(3, 7, 2\) in the first and missing"):
        combine(a, fewer)
    with pytest.raises(InputError, match=r"is missing in the first and \(3, 7, 2\) in the second"):
        combine(fewer, a)


def test_overlap_of_packed_masks():
    ones = functools.partial(np.ones, dtype=bool)
    a, b = (tree_of(ones((layers, 4, 5)), ones((3, 7, 2))) for layers in (3, 2))
    with pytest.raises(InputError, match=r"mlp/up/kernel is \(3, 4, 5\) in the first and \(2, 4"):
        masks.overlap(masks.pack(a), masks.pack(b))
    half = tree_of(ones((3, 4, 5)), ~ones((3, 7, 2)))
    assert masks.overlap(masks.pack(a), half) == masks.overlap(a, half)


# On parameters.


@given(mask_trees)
@settings(deadline=None, max_examples=20)
def test_apply_zeroes_what_is_dropped_and_nothing_else(keep):
    rng = np.random.default_rng(3)
    params = tree_of(*(rng.standard_normal(SHAPES[n]).astype(np.float32) for n in SHAPES))
    params["blocks"]["mlp"]["up"]["bias"] = bias = rng.standard_normal((3, 5))
    params["embed"] = embed = {"tokens": np.ones((4, 4))}
    pruned = masks.apply(params, keep)
    assert pruned["blocks"]["mlp"]["up"]["bias"] is bias
    assert pruned["embed"]["tokens"] is embed["tokens"]
    for name in SHAPES:
        before = params["blocks"]["mlp"][name]["kernel"]
        after = np.asarray(pruned["blocks"]["mlp"][name]["kernel"])
        mask = keep["blocks"]["mlp"][name]["kernel"]
        assert (after[mask].view(np.uint32) == before[mask].view(np.uint32)).all()
        assert (after[~mask].view(np.uint32) == 0).all()  # +0, not -0
        assert (before != 0).all()  # params is left as it was
    same(masks.apply(pruned, keep), pruned)


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_apply_keeps_every_16_bit_pattern(dtype):
    bits = np.arange(2**16, dtype=np.uint16).reshape(256, 256)
    kernel = bits.view(dtype)
    mask = np.random.default_rng(4).random(bits.shape) < 0.5
    for apply in (masks.apply, jax.jit(masks.apply)):
        pruned = np.asarray(apply({"a": jnp.asarray(kernel)}, {"a": mask})["a"])
        assert pruned.dtype == dtype
        nan = np.isnan(kernel.astype(np.float32))  # the payload of a NaN may change, no more
        kept = mask & ~nan
        np.testing.assert_array_equal(pruned.view(np.uint16)[kept], bits[kept])
        assert (pruned.view(np.uint16)[~mask] == 0).all()


def test_apply_keeps_the_bits_of_float64():
    kernel = np.random.default_rng(5).standard_normal((64, 8))
    mask = kernel > 0
    pruned = masks.apply({"a": kernel}, {"a": mask})["a"]
    assert pruned.dtype == np.float64
    np.testing.assert_array_equal(pruned, np.maximum(kernel, 0))


def test_apply_refuses_masks_that_do_not_fit():
    """As `freeze` does, whose tests have a case of each."""
    params = {"a": {"kernel": np.ones((2, 3))}}
    with pytest.raises(InputError, match=r"masks: b/kernel \(2, 3\) has no parameter"):
        masks.apply(params, {"b": {"kernel": np.ones((2, 3), bool)}})
    with pytest.raises(InputError, match="masks: got PackedMasks; expected a nested dict"):
        masks.apply(params, PackedMasks({}, {}))
    with pytest.raises(InputError, match="masks: a/kernel: got str; expected an array"):
        masks.apply(params, {"a": {"kernel": "text"}})


# On disk.


@given(mask_trees)
@settings(deadline=None, max_examples=20)
def test_unpack_undoes_pack(keep):
    packed = masks.pack(keep)
    same(masks.unpack(packed), keep)
    up, out = (packed.bits[f"mlp/{name}/kernel"] for name in SHAPES)
    assert up.nbytes == 3 * math.ceil(4 * 5 / 8)
    assert out.nbytes == 3 * math.ceil(7 * 2 / 8)
    layers = [
        PackedMasks.of({"a": layer}).bits["a"] for layer in keep["blocks"]["mlp"]["up"]["kernel"]
    ]
    np.testing.assert_array_equal(up, np.stack(layers))
    apart = packed.layers
    assert [one.shapes["mlp/up/kernel"] for one in apart] == [(4, 5)] * 3
    same(masks.unpack(PackedMasks.stack(apart)), keep)
    same(masks.unpack(PackedMasks.from_tree(packed.to_tree())), keep)


def test_pack_takes_device_arrays_and_records_that_do_not_fit_are_refused():
    keep = {"blocks": {"a": {"kernel": jnp.ones((3, 5), bool)}}}
    packed = masks.pack(keep)
    same(masks.unpack(packed), keep)
    records = packed.to_records()
    records["a/kernel"]["shape"] = np.array([3, 9])
    with pytest.raises(InputError, match=r"masks: a/kernel has uint8 bits of shape \(2,\)"):
        PackedMasks.from_records(records)


def test_a_kernel_as_one_group_drops_its_lowest_scores():
    scores = np.random.default_rng(0).normal(size=(3, 7, 11)).astype(np.float32)
    mask = np.asarray(masks.keep({"a": scores}, 0.4, group="kernel")["a"])
    for layer, kept in zip(scores, mask, strict=True):
        dropped = np.sort(layer[~kept])
        np.testing.assert_array_equal(dropped, np.sort(layer, axis=None)[: int(77 * 0.4)])


@pytest.mark.parametrize("how", [{"pattern": "2:4"}, {"sparsity": 0.5, "threshold": "variant"}])
def test_a_kernel_as_one_group_is_refused_with_groups_of_its_own(how):
    with pytest.raises(InputError, match="group: got 'kernel'; expected row, with pattern"):
        masks.keep({"a": np.ones((4, 4), np.float32)}, group="kernel", **how)
