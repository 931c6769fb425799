"""Measures without the options' priors, and resampling of groups, against plain loops."""

import numpy as np
import pytest
from evaluated import figures, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.scoring.priors import right_without_prior, within_groups

# few distinct values, so that there are ties
SCORES = hnp.arrays(np.float32, (9, 3), elements=st.sampled_from([-np.inf, -3.0, -2.5, -0.5, 0.0]))
FINITE = hnp.arrays(np.float32, (9, 3), elements=st.sampled_from([-3.0, -2.5, -0.5, 0.0]))
LABELS = hnp.arrays(np.int32, 9, elements=st.integers(0, 2))
GROUPS = hnp.arrays(np.int32, 9, elements=st.integers(0, 3))


def grouped(scores, labels, groups):
    return scored(scores, labels, groups=np.int32(groups))


def within_groups_loop(scores, labels, groups):
    """By row: [preferred, contrast], or None where the group has no row of another label."""
    found = []
    for i in range(len(labels)):
        wins, contrasts = [], []
        for j in range(len(labels)):
            a, b = labels[i], labels[j]
            if groups[i] != groups[j] or a == b:
                continue
            four = [float(scores[r][o]) for r in (i, j) for o in (a, b)]
            if -np.inf in four:
                continue
            contrast = (four[0] - four[1]) - (four[2] - four[3])
            contrasts.append(contrast)
            wins.append(1.0 if contrast > 0 else 0.5 if contrast == 0 else 0.0)
        found.append([np.mean(wins), np.mean(contrasts)] if wins else None)
    return found


@given(SCORES, LABELS, GROUPS)
@settings(deadline=None)
def test_within_groups_is_the_loop_over_pairs(scores, labels, groups):
    assert np.isnan(within_groups(scored(scores, labels)).preferred).all()
    found = within_groups(grouped(scores, labels, groups))
    for place, expected in enumerate(within_groups_loop(scores, labels, groups)):
        of_row = [found.preferred[place], found.contrast[place]]
        np.testing.assert_allclose(of_row, [np.nan, np.nan] if expected is None else expected)


@given(FINITE, LABELS, GROUPS)
@settings(deadline=None)
def test_a_prior_of_the_options_and_what_a_row_adds_to_all_of_them_cancel(scores, labels, groups):
    one = within_groups(grouped(scores, labels, groups))
    moved = scores + np.float32([4.0, -2.0, 0.5]) + np.arange(9, dtype=np.float32)[:, None]
    other = within_groups(grouped(moved, labels, groups))
    np.testing.assert_array_equal(other.preferred, one.preferred)
    np.testing.assert_allclose(other.contrast, one.contrast, atol=1e-5)


@given(FINITE, LABELS)
@settings(deadline=None)
def test_accuracy_without_the_prior_is_the_loop(scores, labels):
    right = 0
    means = [sum(float(row[option]) for row in scores) / len(scores) for option in range(3)]
    for row, label in zip(scores, labels, strict=True):
        left = [float(score) - mean for score, mean in zip(row, means, strict=True)]
        right += left.index(max(left)) == label
    found = right_without_prior(scored(scores, labels))
    assert found.sum() == right
    measured = figures(scored(scores, labels))
    for option in range(3):
        share = sum(int(np.argmax(row)) == option for row in scores) / 9
        assert measured[f"chosen_{option}"].value == share


def test_an_option_that_cannot_be_is_not_chosen_without_the_prior_either():
    scores = np.float32([[-np.inf, -1.0, -2.0], [-np.inf, -3.0, -1.0], [-np.inf, -2.0, -3.0]])
    assert right_without_prior(scored(scores, [1, 2, 0])).tolist() == [True, True, False]
    found = figures(grouped(scores, [1, 2, 0], np.zeros(3)))
    assert found["contrast"].value == pytest.approx((-1 + 2) - (-3 + 1))


def test_values_of_clusters_have_the_mean_over_rows_and_languages():
    rng = np.random.default_rng(1)
    by_language = [(rng.integers(0, 9, size), rng.normal(size=size)) for size in (40, 25)]
    found = metrics.cluster_values(by_language)
    expected = np.mean([values.mean() for _, values in by_language])
    assert len(found) == 9
    assert found.mean() == pytest.approx(expected)
    alone = rng.normal(size=30)  # each row a cluster: nothing changes
    np.testing.assert_allclose(metrics.cluster_values([(np.arange(30), alone)]), alone)
