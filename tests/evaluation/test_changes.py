"""Changes between two runs against plain loops, scipy and sacrebleu."""

import math

import evaluated
import numpy as np
import pytest
import sacrebleu
import scipy.stats
from evaluated import (
    GROUPS,
    LABELS,
    A,
    B,
    changes,
    evaluation,
    right,
    scored,
    translated,
)
from scipy.special import softmax
from scipy.stats import bootstrap

from jaxprune.evaluation.changes import MEAN, MEAN_NON_ENGLISH, perplexity_changes
from jaxprune.evaluation.comparison import compare_evaluations
from jaxprune.evaluation.figures import figures_and_means
from jaxprune.evaluation.scoring import metrics
from jaxprune.evaluation.scoring.perplexity import Perplexity, perplexity_measurements
from jaxprune.evaluation.scoring.priors import within_groups

SOURCE = ("b", "a", "perplexity")


def compared(a=A, b=B, labels=LABELS, **arrays):
    runs = [
        evaluation(name, xnli={code: scored(s, labels, **arrays) for code, s in scores.items()})
        for name, scores in (("a", a), ("b", b))
    ]
    return compare_evaluations(runs)


def interval(change):
    return change.low, change.high


def percentiles(values):
    return bootstrap((values,), np.mean, method="percentile", rng=0).confidence_interval


# Tasks.


def test_accuracies_and_their_tests_are_those_of_the_rows():
    found = changes(compared(), "accuracy")
    assert list(found) == ["en", "fr", "sw", MEAN, MEAN_NON_ENGLISH]
    for code in A:
        a, b = right(A[code]), right(B[code])
        one, tested = found[code], metrics.paired_bootstrap(np.subtract(b, a, dtype=float))
        assert (one.run, one.base, one.n) == ("b", "a", 300)
        assert (one.base_value, one.value) == pytest.approx((a.mean(), b.mean()))
        assert one.difference == pytest.approx(b.mean() - a.mean(), abs=1e-12)
        assert interval(one) == tested.interval
        only = int(np.sum(a & ~b)), int(np.sum(~a & b))
        p = scipy.stats.binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
        assert one.p == pytest.approx(p)
        assert one.family == "xnli: 3 languages"
    for mean, codes in ((MEAN, A), (MEAN_NON_ENGLISH, ("fr", "sw"))):
        values = [np.mean([right(run[code]).mean() for code in codes]) for run in (A, B)]
        assert (found[mean].base_value, found[mean].value) == pytest.approx(values)
        assert (found[mean].p_holm, found[mean].family) == (None, "")


def test_probabilities_of_the_right_option_are_paired_by_row():
    found = changes(compared(), "probability")
    p = {
        code: [softmax(np.float32(run[code]), axis=1)[np.arange(300), LABELS] for run in (A, B)]
        for code in A
    }
    for code, (a, b) in p.items():
        values = (found[code].base_value, found[code].value, found[code].difference)
        assert values == pytest.approx((a.mean(), b.mean(), b.mean() - a.mean()), abs=1e-6)
    drawn = percentiles(p["fr"][1] - p["fr"][0])
    np.testing.assert_allclose(interval(found["fr"]), drawn, atol=1e-3)
    assert found["en"].p == 1  # both runs say the same
    both = np.array([b - a for a, b in p.values()])  # [language, row]: a row is drawn in all
    assert found[MEAN].difference == pytest.approx(both.mean(), abs=1e-6)
    np.testing.assert_allclose(interval(found[MEAN]), percentiles(both.mean(0)), atol=1e-3)


def test_significance_is_holm_within_the_task():
    rng = np.random.default_rng(7)
    runs = [
        evaluation(
            name, aaa={"fr": scored(rng.normal(size=(300, 3)), LABELS)},
            xnli={code: scored(s, LABELS) for code, s in scores.items()},
        )
        for name, scores in (("a", A), ("b", B))
    ]  # fmt: skip
    comparison = compare_evaluations(runs)
    for task, codes in (("aaa", ["fr"]), ("xnli", ["en", "fr", "sw"])):
        found = changes(comparison, "accuracy", task)
        p = {code: found[code].p for code in codes}
        ranked = sorted(p, key=p.get)
        for place, code in enumerate(ranked):
            stepped = max(p[c] * (len(p) - i) for i, c in enumerate(ranked[: place + 1]))
            assert found[code].p_holm == pytest.approx(min(1.0, stepped))


def test_a_run_does_not_differ_from_itself():
    comparison = compared(b=A, groups=GROUPS)
    assert {row.measure for row in comparison.changes} >= {"accuracy", "discrimination"}
    for row in comparison.changes:
        assert (row.difference, interval(row)) == (0.0, (0.0, 0.0))
        assert row.p in (1.0, None)


def test_means_draw_the_rows_of_all_languages_at_once():
    runs = []
    for name, scores in (("a", A), ("b", B)):
        one, other = (scored(scores["sw"], LABELS, rows) for rows in (None, np.arange(1000, 1300)))
        parts = {"copies": {"fr": one, "de": one}, "apart": {"fr": one, "de": other}}
        runs.append(evaluation(name, **parts))
    comparison = compare_evaluations(runs)
    copies, apart = (changes(comparison, "accuracy", task) for task in ("copies", "apart"))
    # two copies are no more evidence than one, two sets of rows are
    assert interval(copies[MEAN]) == pytest.approx(interval(copies["fr"]))
    assert copies[MEAN][5:] == copies[MEAN_NON_ENGLISH][5:]
    assert apart[MEAN].difference == pytest.approx(copies["fr"].difference)
    width = float(np.diff(interval(copies["fr"]))[0])
    assert np.diff(interval(apart[MEAN])) == pytest.approx(width / 2**0.5, rel=0.1)


def test_groups_are_drawn_whole_and_in_all_languages_at_once():
    alike = np.random.default_rng(8).normal(size=(100, 1, 1)).repeat(3, axis=1).reshape(300, 1)
    # b's rows of a group are right or wrong together
    b = {code: B[code] + 3 * alike * np.eye(3)[LABELS] for code in ("fr", "sw")}
    a = {code: A[code] for code in b}
    found = changes(compared(a, b, groups=GROUPS), "accuracy")
    by_row = {code: right(np.float32(b[code])) * 1.0 - right(a[code]) for code in b}
    for code, values in by_row.items():
        drawn = percentiles(values.reshape(100, 3).mean(1))
        np.testing.assert_allclose(interval(found[code]), drawn, atol=4e-3)
        assert np.diff(interval(found[code])) > 1.2 * np.diff(percentiles(values))
    drawn = percentiles(np.mean([*by_row.values()], axis=0).reshape(100, 3).mean(1))
    np.testing.assert_allclose(interval(found[MEAN_NON_ENGLISH]), drawn, atol=4e-3)


def test_discrimination_within_groups():
    preferences = changes(compared(groups=GROUPS), "discrimination")
    for code in A:
        one = preferences[code]
        values = [
            np.nanmean(within_groups(scored(run[code], LABELS, groups=GROUPS)).preferred)
            for run in (A, B)
        ]
        assert (one.base_value, one.value) == pytest.approx(values)
    assert preferences["sw"].high < 0
    assert preferences["sw"].p < 0.001


# Perplexity.


def texts(values, **more):
    return {code: evaluated.of_perplexity(value, **more) for code, value in values.items()}


def test_perplexities_of_both_runs_and_their_ratio():
    sides = texts({"en": 20.0, "sw": 100.0}), texts({"en": 25.0, "sw": 150.0, "fr": 3.0})
    changes = [*perplexity_changes(SOURCE, *sides, False)]
    found = {row.language: row for row in changes if row.measure == "perplexity"}
    assert list(found) == ["en", "sw"]
    assert found["sw"][:6] == (*SOURCE, "sw", "perplexity", 1000)
    assert found["sw"][6:9] == pytest.approx((100.0, 150.0, 0.5))


def ratio_bounds(a, b):
    """The interval of the change from one text to another, as logarithms."""
    change, _ = perplexity_changes(SOURCE, {"fr": a}, {"fr": b}, False)
    return np.log1p(interval(change))


def test_the_interval_of_a_ratio_is_students_of_parts():
    rng = np.random.default_rng(0)
    a = rng.normal(-3, 0.3, 12)
    b = a + rng.normal(-0.1, 0.02, 12)
    student = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)

    def of_parts(sizes, means):
        """Each part is a mean of its tokens."""
        parts = [(size * mean, size, 0) for size, mean in zip(sizes, means, strict=True)]
        return evaluated.text(float(sizes @ means), parts=parts)

    equal = np.full(12, 100)
    bounds = ratio_bounds(of_parts(equal, a), of_parts(equal, b))
    np.testing.assert_allclose(bounds, student, rtol=1e-9)
    # of unequal parts: the ratio of sums, with its linearised standard error
    sizes = rng.integers(20, 400, 12)
    bounds = ratio_bounds(of_parts(sizes, a), of_parts(sizes, b))
    drawn = rng.integers(0, 12, (20000, 12))
    ratios = ((a - b) * sizes)[drawn].sum(1) / sizes[drawn].sum(1)
    centre = ((a - b) * sizes).sum() / sizes.sum()
    assert bounds.mean() == pytest.approx(centre)
    reach = scipy.stats.t(11).ppf(0.975) * ratios.std() * (12 / 11) ** 0.5
    assert bounds[1] - centre == pytest.approx(reach, rel=0.15)
    one_part = evaluated.text(-3000.0)
    change, _ = perplexity_changes(SOURCE, {"fr": one_part}, {"fr": one_part}, False)
    assert interval(change) == (None, None)


def text_of_tokens(rng, nats, sizes, tokens, worse):
    """A text of parts with this many nats a byte and bytes, in tokens of so many bytes."""
    counts = (sizes / tokens).astype(int)
    sums = -nats * sizes * worse * rng.normal(1, 0.03, len(nats))
    parts = (sums, counts, sizes)
    return Perplexity(float(sums.sum()), int(counts.sum()), int(sizes.sum()), *parts)


def test_the_interval_of_other_tokenizers_is_of_bits_per_byte():
    """Parts drawn again and again: bits per byte of b over those of a, as a ratio of perplexities per token of a."""
    rng = np.random.default_rng(1)
    nats, sizes = rng.uniform(0.5, 1.0, 40), rng.integers(200, 900, 40)
    a, b = (text_of_tokens(rng, nats, sizes, *text) for text in ((4.0, 1.0), (3.0, 1.1)))

    def changed(other):
        return [*perplexity_changes(SOURCE, {"fr": a}, {"fr": other}, True)]

    found, bits = changed(b)
    assert found.base_value == pytest.approx(a.perplexity)
    per_token = a.bytes / a.tokens
    assert math.log(found.value) == pytest.approx(-b.total / b.bytes * per_token)
    drawn = rng.integers(0, 40, (20000, 40))
    of_a, of_b = (-text.part_sums[drawn].sum(1) / text.part_bytes[drawn].sum(1) for text in (a, b))
    expected = np.exp(np.quantile((of_b - of_a) * per_token, [0.025, 0.975])) - 1
    np.testing.assert_allclose(interval(found), expected, rtol=0.15)
    expected = np.quantile(of_b - of_a, [0.025, 0.975]) / (-a.total / a.bytes)
    np.testing.assert_allclose(interval(bits), expected, rtol=0.15)
    destroyed = b._replace(part_sums=-1000.0 * b.part_bytes)
    assert changed(destroyed)[0].value == math.exp(700)


def test_a_part_that_one_tokenizer_cuts_does_not_count():
    rng = np.random.default_rng(1)
    nats, sizes = rng.uniform(0.5, 1.0, 12), rng.integers(200, 900, 12)
    a, b = (text_of_tokens(rng, nats, sizes, *text) for text in ((4.0, 1.0), (3.0, 1.1)))
    last_cut = b.part_bytes.copy()
    last_cut[9] -= 5
    shorter = b._replace(part_bytes=last_cut).first_parts(10)
    changes = [
        [*perplexity_changes(SOURCE, {"fr": text}, {"fr": other}, True)]
        for text, other in ((a, shorter), (a.first_parts(9), b.first_parts(9)))
    ]
    assert changes[0] == changes[1]
    bits = [-text.part_sums[:9].sum() / text.part_bytes[:9].sum() for text in (a, b)]
    assert changes[0][1].difference == pytest.approx(bits[1] / bits[0] - 1)
    # a table shows the perplexities of the ratio, not that of a on its whole text
    whole = perplexity_measurements((SOURCE[1], "model", SOURCE[2]), {"fr": a})
    shown = figures_and_means(whole, changes[0])[SOURCE[1], SOURCE[2], "fr", "perplexity"]
    assert shown.value == a.first_parts(9).perplexity != a.perplexity


# Translation.

REFERENCES = [f"the {a} {b} sees a small {c} near the river" for a in ("red", "old", "big", "sad")
              for b in ("cat", "dog", "hen") for c in ("house", "boat", "tree", "hill")]  # fmt: skip


def worse(lines, every, word="thing"):
    """The lines with a wrong word in each `every`-th of them."""
    return [
        line.replace("small", word) if place % every == 0 else line
        for place, line in enumerate(lines)
    ]


HYPOTHESES = {
    "a": {"fr": worse(REFERENCES, 4), "sw": worse(REFERENCES, 2)},
    "b": {"fr": worse(REFERENCES, 4), "sw": worse(worse(REFERENCES, 1), 1, "so")},
}


def test_translations_are_sacrebleus_figures_with_holms_correction():
    sides = [
        evaluation(name, translation={c: translated(text, REFERENCES) for c, text in side.items()})
        for name, side in HYPOTHESES.items()
    ]
    comparison = compare_evaluations(sides)
    bleu, chrf = (changes(comparison, name, "translation") for name in ("bleu", "chrf"))
    for code in ("fr", "sw"):
        for side, value in (("a", "base_value"), ("b", "value")):
            lines = HYPOTHESES[side][code]
            scores = (
                sacrebleu.corpus_bleu(lines, [REFERENCES]),
                sacrebleu.corpus_chrf(lines, [REFERENCES]),
            )
            got = [getattr(found[code], value) for found in (bleu, chrf)]
            np.testing.assert_allclose(got, [one.score for one in scores], atol=1e-9)
        assert bleu[code].difference == bleu[code].value - bleu[code].base_value
        assert (bleu[code].n, chrf[code].p_holm) == (len(REFERENCES), None)
    assert bleu["fr"].p == 1  # the same in both
    assert bleu["sw"].p_holm == pytest.approx(2 * bleu["sw"].p)
    assert bleu["sw"].p_holm < 0.05
