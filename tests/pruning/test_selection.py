"""Selection against plain loops over sorted Python lists, and Wanda's variant against torch."""

import functools
import math

import hypothesis.extra.numpy as hnp
import jax
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxprune.pruning import selection

SHAPE = (8, 3)
# Few values, so that most draws have ties; among them all that is special about floats.
SPECIAL = [0.0, -0.0, 1.0, 1.5, -1.0, 1e-45, -1e-45, 1e-30, 3e38, -3e38, np.inf, -np.inf, np.nan]
scores_2d = hnp.arrays(
    np.float32,
    SHAPE,
    elements=st.one_of(st.sampled_from(SPECIAL), st.floats(width=32)).map(np.float32),
)

# Counts and ends, and patterns and ends, that are drawn: few, as each is compiled.
ROWS = [(1, "lowest"), (3, "lowest"), (7, "lowest"), (1, "highest"), (3, "highest")]
GROUPS = [(2, 4, "lowest"), (4, 8, "lowest"), (1, 2, "highest"), (2, 4, "highest")]

keep_rows = jax.jit(selection.keep_rows, static_argnames=("count", "drop"))
keep_groups = jax.jit(selection.keep_groups, static_argnames=("n", "m", "drop"))
keep_variant = jax.jit(selection.keep_variant, static_argnames=("sparsity", "drop"))


def dropped_first(column, drop):
    """Indices in the order they are dropped: a stable sort with NaN above +inf."""
    sign = 1 if drop == "lowest" else -1

    def rank(i):
        nan = math.isnan(column[i])
        return sign * nan, 0.0 if nan else sign * column[i]

    return sorted(range(len(column)), key=rank)


def loop_keep(scores, count, drop="lowest"):
    keep = np.ones(scores.shape, bool)
    for index in np.ndindex(*scores.shape[:-2], scores.shape[-1]):
        where = (*index[:-1], slice(None), index[-1])
        column = [float(value) for value in scores[where]]
        keep[where][dropped_first(column, drop)[:count]] = False
    return keep


def loop_groups(scores, n, m, drop="lowest"):
    parts = np.split(scores, scores.shape[-2] // m, axis=-2)
    return np.concatenate([loop_keep(part, m - n, drop) for part in parts], axis=-2)


@given(scores_2d, st.sampled_from(ROWS))
@example(np.full(SHAPE, np.nan, np.float32), (3, "lowest"))
@example(np.zeros(SHAPE, np.float32), (3, "highest"))
@settings(deadline=None, max_examples=100)
def test_rows_match_loop(scores, how):
    count, drop = how
    keep = np.asarray(keep_rows(scores, count=count, drop=drop))
    np.testing.assert_array_equal(keep, loop_keep(scores, count, drop))


@given(scores_2d, st.sampled_from(GROUPS))
@settings(deadline=None, max_examples=60)
def test_groups_match_loop(scores, how):
    n, m, drop = how
    keep = np.asarray(keep_groups(scores, n=n, m=m, drop=drop))
    np.testing.assert_array_equal(keep, loop_groups(scores, n, m, drop))


def test_nan_is_above_infinity_and_minus_zero_equals_zero():
    column = np.array([np.nan, np.inf, -np.nan, 5.0, 0.0, -0.0, 6.0, np.inf], np.float32)
    scores = np.repeat(column[:, None], SHAPE[1], axis=1)

    def kept(count, drop="lowest"):
        return np.asarray(keep_rows(scores, count=count, drop=drop))[:, 0].tolist()

    assert kept(1) == [1, 1, 1, 1, 0, 1, 1, 1]
    assert kept(3) == [1, 1, 1, 0, 0, 0, 1, 1]
    assert kept(7) == [0, 0, 1, 0, 0, 0, 0, 0]
    assert kept(1, "highest") == [0, 1, 1, 1, 1, 1, 1, 1]
    assert kept(3, "highest") == [0, 0, 0, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("drop", ["lowest", "highest"])
def test_order_does_not_depend_on_neighbours(drop):
    rng = np.random.default_rng(0)
    # Columns that need very different numbers of passes: spread, tied, constant, with extremes.
    columns = [
        rng.standard_normal(101),
        rng.integers(0, 3, 101),
        np.ones(101),
        np.where(rng.random(101) < 0.3, np.inf, rng.random(101)),
        rng.standard_normal(101) * 1e-42,
        10.0 ** rng.uniform(-40, 38, 101),
    ]
    scores = np.stack(columns, axis=1).astype(np.float32)
    together = np.asarray(keep_rows(scores, count=40, drop=drop))
    np.testing.assert_array_equal(together, loop_keep(scores, 40, drop))
    for i in range(scores.shape[1]):
        alone = keep_rows(scores[:, i : i + 1], count=40, drop=drop)
        np.testing.assert_array_equal(together[:, i : i + 1], alone)


def test_stacked_rows_and_low_precision():
    scores = np.random.default_rng(1).standard_normal((2, 3, 16, 5)).astype(np.float32)
    np.testing.assert_array_equal(keep_rows(scores, count=5), loop_keep(scores, 5))
    np.testing.assert_array_equal(keep_groups(scores, n=2, m=8), loop_groups(scores, 2, 8))
    for dtype in (ml_dtypes.bfloat16, np.float16):
        low = scores.astype(dtype)
        expected = loop_keep(low.astype(np.float32), 5)
        np.testing.assert_array_equal(keep_rows(low, count=5), expected)


def test_count_zero_keeps_all():
    scores = np.zeros((4, 2), np.float32)
    assert keep_rows(scores, count=0).all()


# Wanda's variant: sorted cumulative sums, alpha from 0.4 in [0, 0.8], tolerance 0.001.


def torch_variant(scores, sparsity):
    """[in, out] float32 → keep, with alpha in Python floats."""
    rows = torch.from_numpy(scores.T.copy())
    ordered = rows.sort(dim=1).values
    running, total = ordered.cumsum(1), rows.sum(1, keepdim=True)

    def dropped_at(alpha):
        fits = (running <= total * alpha).sum(1, keepdim=True)
        last = ordered.gather(
            1, (fits - 1).clamp(min=0)
        )  # theirs stops with an error where fits = 0
        return (rows <= last) & (fits > 0)

    alpha, low, high = 0.4, 0.0, 0.8
    dropped = dropped_at(alpha)
    while abs(dropped.float().mean().item() - sparsity) > 0.001 and high - low >= 0.001:
        if dropped.float().mean().item() > sparsity:
            alpha, high = (alpha + low) / 2, alpha
        else:
            alpha, low = (alpha + high) / 2, alpha
        dropped = dropped_at(alpha)
    return ~dropped.numpy().T


@pytest.mark.parametrize("sparsity", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("largest", [2**6, 2**14])
def test_variant_matches_torch_on_whole_numbers(sparsity, largest):
    # Whole numbers: sums are exact in any order, so that every mask must agree to the bit.
    rng = np.random.default_rng(largest)
    scores = (1 + rng.integers(0, largest, (96, 40)) * rng.random((96, 1)) // 1).astype(np.float32)
    keep = np.asarray(keep_variant(scores, sparsity=sparsity))
    np.testing.assert_array_equal(keep, torch_variant(scores, sparsity))


def test_variant_on_real_numbers_reaches_the_sparsity_and_differs_from_row():
    rng = np.random.default_rng(5)
    scores = np.abs(rng.standard_normal((256, 64)) * np.exp(rng.standard_normal((256, 64))))
    scores = scores.astype(np.float32)
    keep = np.asarray(keep_variant(scores, sparsity=0.3))
    assert abs((~keep).mean() - 0.3) <= 0.001
    # Float sums round differently in torch, which can move single weights across the threshold.
    assert (keep != torch_variant(scores, 0.3)).mean() < 1e-3
    assert len(set(keep.sum(0))) > 1  # rows of unequal density, unlike threshold "row"


def test_variant_is_per_matrix():
    rng = np.random.default_rng(6)
    scores = np.abs(rng.standard_normal((3, 64, 32)) ** np.array([1, 2, 3])[:, None, None])
    scores = scores.astype(np.float32)
    each = [np.asarray(keep_variant(matrix, sparsity=0.4)) for matrix in scores]
    np.testing.assert_array_equal(keep_variant(scores, sparsity=0.4), np.stack(each))


def test_variant_highest_mirrors_lowest():
    scores = np.random.default_rng(7).integers(1, 1000, (64, 16)).astype(np.float32)
    keep = np.asarray(keep_variant(scores, sparsity=0.5, drop="highest"))
    assert abs((~keep).mean() - 0.5) < 0.05
    assert (np.where(keep, scores, -1).max(0) < np.where(keep, np.inf, scores).min(0)).all()


@pytest.mark.parametrize("drop", ["lowest", "highest"])
def test_variant_keeps_what_is_not_finite_and_leaves_it_out_of_the_sum(drop):
    rng = np.random.default_rng(8)
    clean = rng.integers(1, 100, (32, 4)).astype(np.float32)
    extra = np.zeros((2, 4), np.float32)
    extra[0], extra[1] = np.inf, np.nan
    # The extra rows change the share of dropped weights; compare at one where both stop at once.
    variant = functools.partial(keep_variant, drop=drop)
    keep = np.asarray(variant(np.concatenate([clean, extra]), sparsity=0.999))
    assert keep[-2:].all()
    np.testing.assert_array_equal(keep[:-2], variant(clean, sparsity=0.999))


def test_variant_of_zero_rows_and_of_one_large_score():
    scores = np.random.default_rng(9).integers(1, 100, (20, 3)).astype(np.float32)
    scores[:, 0] = 0
    scores[:, 1] = 1
    keep = np.asarray(keep_variant(scores, sparsity=0.8))
    assert not keep[:, 0].any()  # zeros fit into any sum
    assert not keep[:, 1].any()  # equal scores go together or not at all: the first fits
    assert 0 < keep[:, 2].sum() < 20
    alone = np.full((1, 4), 7, np.float32)
    assert keep_variant(alone, sparsity=0.5).all()  # a single score is more than 0.8 of its row
