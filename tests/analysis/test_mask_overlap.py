"""Overlaps of masks against jaxprune.masks.overlap and plain counting."""

import numpy as np
import pytest

from jaxprune.analysis.mask_overlap import chance, compare, iou, read_runs
from jaxprune.base.errors import InputError
from jaxprune.models.block import SITES
from jaxprune.pruning import masks
from jaxprune.runs import checkpoint

KERNELS = {"attention/q/kernel": "qkv", "attention/k/kernel": "qkv", "mlp/out/kernel": "mlp_out"}


def random_masks(seed, density=0.7, layers=3):
    rng = np.random.default_rng(seed)
    leaf = {name: {"kernel": rng.random((layers, 5, 7)) < density} for name in ("q", "k")}
    return {
        "blocks": {
            "attention": leaf,
            "mlp": {"out": {"kernel": rng.random((layers, 9, 4)) < density}},
        }
    }


def kernel(tree, path):
    for name in path.split("/"):
        tree = tree[name]
    return tree


TREES = {"fr": random_masks(0), "sw": random_masks(1, 0.4), "de": random_masks(2)}
FOUND = compare({name: masks.pack(tree) for name, tree in TREES.items()}, KERNELS)


def test_counts_are_those_of_the_bools():
    for a, one in enumerate(TREES.values()):
        for b, other in enumerate(TREES.values()):
            want = np.zeros((3, len(SITES)), np.int64)
            for path, site in KERNELS.items():
                both = kernel(one["blocks"], path) & kernel(other["blocks"], path)
                want[:, SITES.index(site)] += both.sum(axis=(1, 2))
            np.testing.assert_array_equal(FOUND.both[a, b], want)
    assert FOUND.pairs == [(0, 1), (0, 2), (1, 2)]


def test_iou_is_that_of_the_mask_algebra():
    want = masks.overlap(TREES["fr"], TREES["sw"])
    assert iou(FOUND.both.sum((-2, -1)))[0, 1] == pytest.approx(want.overall, abs=1e-12)
    np.testing.assert_allclose(iou(FOUND.both.sum(-1))[0, 1], want.layers)
    by_layer = iou(FOUND.both)
    assert (by_layer[..., 1] == 1).all()  # a site without kernels: nothing to disagree on
    assert (np.einsum("rrls->rls", by_layer) == 1).all()


def test_chance_is_what_random_masks_come_to():
    trees = {
        name: random_masks(seed, density, layers=400)
        for seed, (name, density) in enumerate((("a", 0.7), ("b", 0.4)))
    }
    found = compare({name: masks.pack(tree) for name, tree in trees.items()}, KERNELS)
    both, expected = found.both.sum((-2, -1)), found.expected.sum((-2, -1))
    assert chance(both, expected)[0, 1] == pytest.approx(0.28 / (0.7 + 0.4 - 0.28), abs=0.01)
    assert iou(both)[0, 1] == pytest.approx(chance(both, expected)[0, 1], abs=0.01)
    # kernels that a run ignores keep all weights in both
    for tree in trees.values():
        tree["blocks"]["mlp"]["out"]["kernel"][:] = True
    found = compare({name: masks.pack(tree) for name, tree in trees.items()}, KERNELS)
    both, expected = found.both.sum((-2, -1)), found.expected.sum((-2, -1))
    assert iou(both)[0, 1] == pytest.approx(chance(both, expected)[0, 1], abs=0.01)


def test_runs_are_read_from_their_checkpoints(tmp_path):
    for name in ("fr", "sw"):
        checkpoint.save(tmp_path / name / "checkpoint", masks=TREES[name], metadata={})
    found = read_runs([tmp_path / "fr", tmp_path / "sw"], KERNELS)
    assert found.runs == ("fr", "sw")
    np.testing.assert_array_equal(found.both, FOUND.both[:2, :2])


def test_names_are_as_long_as_they_have_to_be(tmp_path):
    for name in ("a/fr", "a/sw", "b/fr"):
        checkpoint.save(tmp_path / name / "checkpoint", masks=TREES["fr"], metadata={})
    for names, shown in ((("a/fr", "a/sw"), ("fr", "sw")), (("a/fr", "b/fr"), ("a/fr", "b/fr"))):
        assert read_runs([tmp_path / name for name in names], KERNELS).runs == shown


def test_runs_that_cannot_be_compared_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    checkpoint.save(tmp_path / "bare" / "checkpoint", params={"x": np.ones(2)}, metadata={})
    for folders, message in (
        (["empty"], "one run; allowed: two or more"),
        (["empty", "empty"], "twice"),
        (["bare", "none"], "bare.*contains no masks"),
        (["none", "bare"], "no folder '.*none'"),
        (["empty", "bare"], "no complete checkpoint"),
    ):
        with pytest.raises(InputError, match=message):
            read_runs([tmp_path / name for name in folders], KERNELS)
    fr = masks.pack(TREES["fr"])
    with pytest.raises(InputError, match="masks of deep do not fit"):
        compare({"fr": fr, "deep": masks.pack(random_masks(0, layers=4))}, KERNELS)
    with pytest.raises(InputError, match="masks of fr do not fit the model"):
        compare(
            {"fr": fr, "sw": masks.pack(TREES["sw"])},
            {"mlp/out/kernel": "mlp_out"},
        )
