"""Overlaps of the largest and smallest features against sets and loops in plain Python."""

import numpy as np
import pytest

from jaxprune.analysis.overlap import (
    by_kind,
    halves_by_kind,
    largest,
    overlaps,
    with_halves,
)


def with_ties(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 6, shape).astype(np.float32)


def by_rank(values, count, sign):
    """Indices by value, ties to the lower index, from Python's own sort."""
    return set(sorted(range(len(values)), key=lambda j: (sign * values[j], j))[:count])


@pytest.mark.parametrize(("size", "share"), [(10, 0.3), (7, 0.4), (9, 0.01), (5, 1.0), (48, 0.55)])
def test_overlaps_equal_those_of_sets(size, share):
    values = with_ties((4, 3, size))
    found = overlaps(values, share)
    count = max(1, round(size * share))
    assert found.features == count
    assert found.chance == count / size
    for layer, a, b in np.ndindex(3, 4, 4):
        high = by_rank(values[a, layer], count, -1)
        top = len(high & by_rank(values[b, layer], count, -1)) / count
        bottom = len(high & by_rank(values[b, layer], count, 1)) / count
        assert found.top[layer, a, b] == pytest.approx(top, abs=1e-7)
        assert found.bottom[layer, a, b] == pytest.approx(bottom, abs=1e-7)


def test_halves_equal_those_of_sets():
    """Of halves that have little in common; equal ones come to all and, at the bottom, nothing."""
    values, halves = with_ties((3, 2, 10)), with_ties((3, 2, 2, 10), seed=1)
    halves[2] = halves[2, :1]
    plain = overlaps(values, 0.3)
    found = with_halves(plain, halves, 0.3)
    assert (found.top, found.bottom) == (plain.top, plain.bottom)
    for a, layer in np.ndindex(3, 2):
        high, low = ([by_rank(half[layer], 3, s) for half in halves[a]] for s in (-1, 1))
        top = len(high[0] & high[1]) / 3
        bottom = (len(high[0] & low[1]) + len(high[1] & low[0])) / 6
        assert found.halves_top[layer, a] == pytest.approx(top, abs=1e-7)
        assert found.halves_bottom[layer, a] == pytest.approx(bottom, abs=1e-7)
    means = halves_by_kind(found.halves_top, ["m", "t", "m"])
    assert list(means) == ["two halves of m", "two halves of t"]
    np.testing.assert_allclose(means["two halves of m"], found.halves_top[:, [0, 2]].mean(axis=1))
    assert (found.halves_top[:, 2] == 1).all()
    assert halves_by_kind(plain.halves_top, ["m", "t", "m"]) == {}


def test_largest_first_and_of_equal_ones_the_lower():
    np.testing.assert_array_equal(
        largest(np.array([[1.0, 3, 3, 2], [0, 0, 0, 5]]), 3), [[1, 2, 3], [3, 0, 1]]
    )


def test_means_by_kind_are_those_of_a_loop():
    shares, kinds = np.random.default_rng(3).random((2, 5, 5)), ["m", "m", "t", "m", "t"]
    means = by_kind(shares, kinds)
    assert list(means) == ["m in m", "m in t", "t in m", "t in t"]
    for pair, got in means.items():
        first, second = pair.split(" in ")
        picked = [
            shares[:, a, b]
            for a in range(5)
            for b in range(5)
            if a != b and (kinds[a], kinds[b]) == (first, second)
        ]
        np.testing.assert_allclose(got, np.mean(picked, axis=0))
    assert list(by_kind(shares[:, :2, :2], ["m", "t"])) == ["m in t", "t in m"]
