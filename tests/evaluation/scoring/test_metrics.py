"""Metrics against plain loops, exact sums, published values and normal approximations."""

import itertools
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from evaluated import figures, scored
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import softmax

from jaxprune.base.errors import InputError
from jaxprune.evaluation.scoring import metrics

# F1.


def f1_loop(predictions, labels):
    total = 0.0
    for label in set(labels):
        pairs = list(zip(predictions, labels, strict=True))
        right = sum(p == label and t == label for p, t in pairs)
        given, support = sum(p == label for p, _ in pairs), sum(t == label for _, t in pairs)
        precision, recall = right / given if given else 0.0, right / support
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        total += f1 * support / len(labels)
    return total


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
@settings(deadline=None)
def test_weighted_f1_is_the_loop_over_precision_and_recall(pairs):
    predictions, labels = (list(column) for column in zip(*pairs, strict=True))
    found = metrics.weighted_f1(np.array(predictions), np.array(labels))
    assert found == pytest.approx(f1_loop(predictions, labels), abs=1e-12)


# RankC.


def rankc_loop(scores_a, scores_b):
    total = 0.0
    for a, b in zip(scores_a.tolist(), scores_b.tolist(), strict=True):
        # sorted is stable, reverse=True too: of equal scores the lower index comes first
        order_a, order_b = (sorted(range(len(s)), key=s.__getitem__, reverse=True) for s in (a, b))
        size = len(a)
        norm = sum(math.exp(size - k) for k in range(1, size + 1))
        for j in range(1, size + 1):
            p_at_j = len(set(order_a[:j]) & set(order_b[:j])) / j
            total += math.exp(size - j) / norm * p_at_j
    return total / len(scores_a)


# few distinct values, so that there are ties
SCORES = hnp.arrays(np.float32, (6, 4), elements=st.sampled_from([-np.inf, -2.0, -1.5, -0.0, 0.0]))


@given(SCORES, SCORES)
@settings(deadline=None)
def test_rankc_is_the_formula_of_the_paper(a, b):
    assert metrics.rankc(a, b) == pytest.approx(rankc_loop(a, b), abs=1e-12)
    assert metrics.rankc(a, a) == pytest.approx(1.0)
    many = np.zeros((2, 300))  # exp(300) is no float32
    assert metrics.rankc(many, many + 1) == pytest.approx(1.0)


# Intervals and tests.


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    # Newcombe 1998, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_wilson_interval_as_published(right, rows, low, high):
    assert metrics.wilson_interval(right, rows) == pytest.approx((low, high), abs=5e-5)
    mirrored = metrics.wilson_interval(rows - right, rows)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def correctness(only_a, only_b, both, neither):
    counts = [only_a, only_b, both, neither]
    a, b = np.repeat([1, 0, 1, 0], counts), np.repeat([0, 1, 1, 0], counts)
    order = np.random.default_rng(5).permutation(len(a))
    return a[order].astype(bool), b[order].astype(bool)


def bootstrap(a, b, seed=0):
    return metrics.paired_bootstrap(np.subtract(b, a, dtype=float), seed=seed)


@pytest.mark.parametrize("continuous", [False, True])
def test_bootstrap_draws_as_resampled_rows_do(continuous, monkeypatch):
    monkeypatch.setattr(metrics, "RESAMPLES", 20_000)
    monkeypatch.setattr(metrics, "CONFIDENCE", 0.9)
    rng = np.random.default_rng(1)
    a, b = (rng.random((2, 60)) < [[0.5], [0.62]]).astype(float)
    if continuous:
        b = b + rng.normal(size=60) / 4
    drawn = rng.integers(0, 60, size=(20_000, 60))
    means = (b - a)[drawn].mean(axis=1)
    found = bootstrap(a, b)
    assert found.interval == pytest.approx(np.quantile(means, [0.05, 0.95]), abs=0.006)
    far = np.abs(means - (b - a).mean()) >= abs((b - a).mean()) - 1e-12
    assert found.p == pytest.approx(far.mean(), abs=0.015)


def test_bootstrap_repeats_by_seed_and_turns_with_its_arguments():
    a, b = correctness(40, 60, 100, 100)
    one = bootstrap(a, b, seed=3)
    assert one == bootstrap(a, b, seed=3)
    assert one.p != bootstrap(a, b, seed=4).p
    turned = bootstrap(b, a, seed=3)
    assert turned.difference == -one.difference
    assert turned.p == pytest.approx(one.p, abs=0.01)
    assert turned.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=0.01)
    order = np.random.default_rng(0).permutation(len(a))
    assert bootstrap(a[order], b[order], seed=3) == one
    noise = np.random.default_rng(2).normal(size=len(a))
    one = bootstrap(a, b + noise, seed=3)
    assert bootstrap(a[order], (b + noise)[order], seed=3) == one


def test_bootstrap_without_difference_and_with_nothing_else(monkeypatch):
    a, b = correctness(0, 0, 20, 30)
    assert bootstrap(a, b) == (0.0, (0.0, 0.0), 1.0)
    balanced = bootstrap(*correctness(15, 15, 20, 30))
    assert (balanced.difference, balanced.p) == (0.0, 1.0)
    assert balanced.interval[0] < 0 < balanced.interval[1]
    monkeypatch.setattr(metrics, "RESAMPLES", 999)
    worse = bootstrap(*correctness(30, 0, 0, 0))
    assert worse == (-1.0, (-1.0, -1.0), 0.001)


def test_bootstrap_memory_is_bounded():
    values = np.random.default_rng(0).normal(size=1500)  # 1,500 x 10,000 counts would be 120 MB
    tracemalloc.start()
    metrics.paired_bootstrap(values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80e6


def test_mcnemar_is_the_enumerated_sum():
    counts = [*itertools.product(range(8), range(8)), (1580, 1420)]
    for only_a, only_b in counts:
        n, k = only_a + only_b, min(only_a, only_b)
        tail = sum(Fraction(math.comb(n, i), 2**n) for i in range(k + 1))
        p = metrics.mcnemar(*correctness(only_a, only_b, 3, 2))
        assert p == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)


def test_holm_by_hand():
    assert metrics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert metrics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert metrics.holm([]) == []


# What goes into measurements.csv.


def test_predictions_are_the_first_of_equal_scores():
    scores = [[-1, -1, -2], [-3, -2, -2], [-1, -5, -np.inf], [-4, -3, -1]]
    found = figures(scored(scores, [0, 1, 1, 2]))
    assert {row.n for row in found.values()} == {4}
    accuracy = found["accuracy"]
    assert (accuracy.value, accuracy.low, accuracy.high) == (0.75, *metrics.wilson_interval(3, 4))
    assert found["f1"].value == pytest.approx(f1_loop([0, 1, 0, 2], [0, 1, 1, 2]))
    assert [found[f"chosen_{option}"].value for option in range(3)] == [0.5, 0.25, 0.25]
    assert "discrimination" not in found  # there are no groups


def test_the_probability_of_the_right_option():
    rng = np.random.default_rng(0)
    scores = np.float32(50 * rng.normal(size=(30, 4)) - 1000)  # sums of log-probabilities
    scores[::3, 1] = -np.inf
    labels = rng.integers(0, 4, 30)
    expected = softmax(np.float64(scores), axis=1)[np.arange(30), labels]
    np.testing.assert_allclose(scored(scores, labels).probability, expected, rtol=1e-12)
    found = figures(scored(scores, labels))["probability"]
    assert found.value == pytest.approx(expected.mean())
    nothing = scored(np.full((1, 4), -np.inf), [2])
    assert nothing.probability == [0.25]


@pytest.fixture
def three_languages():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 40)
    return {
        code: scored(rng.normal(size=(40, 3)) + weight * np.eye(3)[labels], labels)
        for code, weight in (("fr", 1.0), ("en", 2.0), ("sw", 0.3))
    }


def test_measurements_of_every_language(three_languages):
    measured = metrics.task_measurements(("run", "model", "task"), three_languages)
    assert {row[:3] for row in measured} == {("run", "model", "task")}
    assert list(dict.fromkeys(row.language for row in measured)) == ["fr", "en", "sw"]
    found = {(row.language, row.measure): row.value for row in measured}
    assert len(found) == len(measured)
    for code, one in three_languages.items():
        assert found[code, "accuracy"] == np.mean(one.scores.argmax(1) == one.labels)
    assert ("en", "rankc") not in found
    english, french = three_languages["en"].scores, three_languages["fr"].scores
    assert found["fr", "rankc"] == pytest.approx(rankc_loop(english, french))


def test_rankc_only_where_rows_mean_the_same(three_languages):
    def languages_with_rankc(parallel=True, **changed):
        source, languages = ("run", "model", "task"), three_languages | changed
        measured = metrics.task_measurements(source, languages, parallel=parallel)
        return [row.language for row in measured if row.measure == "rankc"]

    french = three_languages["fr"]
    fewer = scored(french.scores[:30], french.labels[:30], french.rows[:30])
    assert languages_with_rankc() == ["fr", "sw"]
    assert languages_with_rankc(parallel=False) == []
    assert languages_with_rankc(fr=french._replace(rows=french.rows + 1)) == ["sw"]
    assert languages_with_rankc(fr=fewer) == ["sw"]
    assert languages_with_rankc(fr=french._replace(labels=2 - french.labels)) == ["sw"]
    wider = np.hstack([french.scores, french.scores[:, :1] - 1])
    assert languages_with_rankc(fr=french._replace(scores=wider)) == ["sw"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (scored([[0, 0], [0, np.nan], [0, 0]], [0, 1, 0], [7, 9, 11]),
         "fr: row 9 has the score nan for option 1; expected a number"),
        (scored([[0, 0], [0, 0], [np.inf, 0]], [0, 1, 0], [7, 9, 11]), "row 11 has the score inf"),
        (scored(np.zeros((0, 2)), []), "fr: no rows"),
    ],
)  # fmt: skip
def test_bad_scores_are_refused_by_language_and_row(bad, message):
    with pytest.raises(InputError, match=message):
        figures(bad)
