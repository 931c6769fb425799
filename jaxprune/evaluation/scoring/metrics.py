"""Scores → figures: accuracy, F1, RankC, intervals, tests of a difference. Knows no model.

All figures are shares in [0, 1]; only tables show percent and points. Rows are taken to be independent
of each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from jaxprune.errors import InputError

if TYPE_CHECKING:
    from scipy.stats._result_classes import BinomTestResult

CONFIDENCE = 0.95
ALPHA = 0.05
RESAMPLES = 10_000
RANKC_KINDS = ("corrected", "official")

# Entries of one draw of the bootstrap: it bounds the memory, whatever the number of rows.
_DRAWN_AT_ONCE = 1 << 22


class Scored(NamedTuple):
    """What a model said of a task in one language: what `<task>/<language>.npz` holds.

    Attributes:
      scores: [R, C] of each option, higher is likelier; the prediction is the argmax and, of equal
        scores, the lowest index, as numpy has it. -inf stands for an option that cannot be.
      labels: [R] index of the right option.
      rows: [R] number of each row in its source.
    """

    scores: Float[np.ndarray, "R C"]
    labels: Int[np.ndarray, " R"]
    rows: Int[np.ndarray, " R"]

    @property
    def correct(self) -> Bool[np.ndarray, " R"]:
        """Whether the prediction is the label."""
        return self.scores.argmax(axis=1) == self.labels


class Difference(NamedTuple):
    """Mean of b minus mean of a, its interval, and the two-sided p-value of no difference."""

    difference: float
    low: float
    high: float
    p: float


def check_scores(scored: Scored, where: str) -> None:
    """Refuses scores from which no figure can be had.

    Args:
      where: language or file, for the message.

    Raises:
      InputError: no rows, arrays that do not fit each other, a row that stands twice, a label that is no
        column of the scores, a score that is NaN or +inf. Names where and, if it is one, the row.
    """
    scores, labels, rows = (np.asarray(array) for array in scored)
    size = len(labels) if labels.ndim == 1 else -1
    if scores.dtype.kind != "f" or labels.dtype.kind not in "iu" or rows.dtype.kind not in "iu":
        raise InputError(
            f"{where}: scores, labels and rows are {scores.dtype}, {labels.dtype} and {rows.dtype}; "
            "expected floats, integers and integers"
        )
    if scores.ndim != 2 or scores.shape[1] < 1 or (size, size) != (len(scores), rows.size):
        raise InputError(
            f"{where}: scores, labels and rows are {list(scores.shape)}, {list(labels.shape)} and "
            f"{list(rows.shape)}; expected [rows, options], [rows] and [rows]"
        )
    if not size:
        raise InputError(f"{where}: no rows")
    ordered = np.sort(rows)
    if (twice := ordered[1:][ordered[1:] == ordered[:-1]]).size:
        raise InputError(f"{where}: row {twice[0]} stands there twice; expected each row once")
    options = scores.shape[1]
    if (wrong := np.flatnonzero((labels < 0) | (labels >= options))).size:
        row = wrong[0]
        raise InputError(
            f"{where}: row {rows[row]} has label {labels[row]}; expected 0 to {options - 1}, as "
            f"there are {options} scores a row"
        )
    bad = ~(scores < np.inf)  # NaN is not less either
    if bad.any():
        row, option = np.argwhere(bad)[0]
        raise InputError(
            f"{where}: row {rows[row]} has the score {scores[row, option]} for option {option}; "
            "expected a number (NaN and inf come of overflow in the model)"
        )


def weighted_f1(predictions: Int[np.ndarray, " R"], labels: Int[np.ndarray, " R"]) -> float:
    """Mean of the F1 of every label, weighted by how many rows have it.

    F1 = 2 TP / (rows that have the label + rows that are given it), and 0 where a label is never
    met; scikit-learn calls this average="weighted", zero_division=0.
    """
    size = int(max(predictions.max(), labels.max())) + 1
    given, support = np.bincount(predictions, minlength=size), np.bincount(labels, minlength=size)
    right = np.bincount(labels[predictions == labels], minlength=size)
    f1 = 2 * right / np.maximum(given + support, 1)
    return float(f1 @ support / len(labels))


def rankc(
    scores_a: Float[np.ndarray, "R C"], scores_b: Float[np.ndarray, "R C"], kind: str = "corrected"
) -> float:
    """Cross-lingual consistency RankC of the same rows and options in two languages.

    Qi, Fernández and Bisazza (EMNLP 2023, arXiv 2310.10378, section 3): options are ranked in each
    language, P@j is the share of the first j that both have among their first j, and a row's
    consistency is Σ_j w_j P@j with w_j = e^(C-j) / Σ_k e^(C-k). RankC is the mean over rows.
    With three options the weights are 0.665, 0.245, 0.090.

    Args:
      scores_a, scores_b: row and column i mean the same in both.
      kind: "corrected" ranks the likeliest option first, as that paper and its RankC.py
        (Betswish/Cross-Lingual-Consistency) do. "official" ranks the least likely one first, as
        evaluate_consistency.py of hwichan0720/pruning_for_multilinguality does by an ascending argsort. Of
        equal scores the lower index comes first in both.

    Raises:
      InputError: another kind, or shapes that differ.
    """
    if kind not in RANKC_KINDS:
        raise InputError(f"kind: got {kind!r}; allowed: {', '.join(RANKC_KINDS)}")
    if scores_a.shape != scores_b.shape:
        raise InputError(
            f"RankC: scores are {list(scores_a.shape)} and {list(scores_b.shape)}; expected the "
            "same rows and options"
        )
    sign = -1 if kind == "corrected" else 1
    # an option is among the first j of both from the worse of its two ranks on
    worse = np.maximum(_ranks(sign * scores_a), _ranks(sign * scores_b))
    places = np.arange(1, scores_a.shape[1] + 1)
    weights = np.exp(1.0 - places)
    shares = weights / weights.sum() / places
    from_rank_on = np.cumsum(shares[::-1])[::-1]
    return float(from_rank_on[worse].sum(axis=1).mean())


def _ranks(keys: Float[np.ndarray, "R C"]) -> Int[np.ndarray, "R C"]:
    """Place of every entry in its row, from 0 for the smallest."""
    return np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1)


def wilson_interval(right: int, rows: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of an accuracy of right/rows, rows > 0.

    It needs no resampling and no seed, stays within [0, 1] and keeps its width at accuracies of 0
    and 1, where bootstrap percentiles have none (Brown, Cai and DasGupta 2001).
    """
    interval = _binomial(right, rows).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def _binomial(successes: int, trials: int) -> BinomTestResult:
    """So many successes of trials > 0, tested against 1/2, exact and two-sided."""
    from scipy.stats import (
        binomtest,  # its import takes a second, which only figures have to wait for
    )

    return binomtest(successes, trials)


def paired_bootstrap(
    a: Shaped[np.ndarray, " R"],
    b: Shaped[np.ndarray, " R"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Difference:
    """Paired bootstrap over rows of mean(b) - mean(a).

    The interval runs between percentiles of the resampled differences. The p-value is the share of
    resamples that lie at least as far from the difference as the difference lies from 0 (two-sided,
    Efron and Tibshirani 1993, section 16.4, with the one resample that was observed added, so that it is
    never 0).

    A resample is summed up by how often each distinct difference of a row occurs in it: a multinomial draw. For
    rows that are right or wrong there are three, so time and memory do not depend on the rows.

    Args:
      a, b: bool or number for each row, the same rows in both; R > 0.
    """
    paired = np.asarray(b, np.float64) - np.asarray(a, np.float64)
    values, counts = np.unique(paired, return_counts=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, _DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    shares = counts / len(paired)
    means = np.concatenate(
        [rng.multinomial(len(paired), shares, size=size) @ values for size in sizes]
    )
    means /= len(paired)
    difference = float(values @ counts) / len(paired)
    # a resample exactly as far counts, whatever its rounding
    as_far = np.abs(means - difference) >= abs(difference) - 1e-12
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    p = (1 + int(as_far.sum())) / (1 + resamples)
    return Difference(difference, float(low), float(high), p)


def mcnemar(a: Bool[np.ndarray, " R"], b: Bool[np.ndarray, " R"]) -> float:
    """Exact two-sided p-value of McNemar's test that a and b are right equally often.

    Of the rows that only one of them has right, the number that a has is binomial with 1/2.
    """
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    return float(_binomial(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): reject those at most alpha.

    The chance to reject any true hypothesis is then at most alpha, however the tests depend on each other.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0).tolist()


def summary(accuracies: Mapping[str, float]) -> dict[str, Any]:
    """What the accuracies of all languages come to.

    Returns:
      `worst`: {"language", "accuracy"}, of equal ones the first. `gap_to_english`: by language,
      accuracy in English minus that in it; empty where English is missing. `mean` over all languages,
      `mean_non_english` over all others than English (None where there are none); each language counts
      the same.
    """
    others = {code: value for code, value in accuracies.items() if code != "en"}
    worst = min(accuracies, key=lambda code: accuracies[code])
    english = accuracies.get("en")
    gaps = {} if english is None else {code: english - value for code, value in others.items()}
    return {
        "worst": {"language": worst, "accuracy": accuracies[worst]},
        "gap_to_english": gaps,
        "mean": math.fsum(accuracies.values()) / len(accuracies),
        "mean_non_english": math.fsum(others.values()) / len(others) if others else None,
    }


def language_metrics(
    scores: Float[np.ndarray, "R C"],
    labels: Int[np.ndarray, " R"],
    rows: Int[np.ndarray, " R"] | None = None,
    language: str = "scores",
) -> dict[str, Any]:
    """Figures of one language: `rows`, `accuracy`, its Wilson 95% `interval`, weighted `f1`.

    Args:
      scores, labels: as in `Scored`.
      rows: as in `Scored`; 0, 1, … by default. With `language` they name the place of an error.

    Raises:
      InputError: as `check_scores`.
    """
    numbers = np.arange(len(labels), dtype=np.int32) if rows is None else rows
    scored = Scored(scores, labels, numbers)
    check_scores(scored, language)
    right = int(scored.correct.sum())
    return {
        "rows": len(labels),
        "accuracy": right / len(labels),
        "interval": list(wilson_interval(right, len(labels))),
        "f1": weighted_f1(scores.argmax(axis=1), labels),
    }


def task_metrics(by_language: Mapping[str, Scored], parallel: bool = True) -> dict[str, Any]:
    """Figures of a task: `languages` and what `summary` makes of them, as metrics.json has them.

    Args:
      by_language: at least one; (scores, labels, rows) of each.
      parallel: row i is the same question in every language. Then a language has `rankc` against
        English, of both kinds, unless it is English or its rows, labels or options are not those of
        the English data.

    Raises:
      InputError: as `check_scores`.
    """
    checked = {code: Scored(*scored) for code, scored in by_language.items()}
    figures = {code: language_metrics(*scored, language=code) for code, scored in checked.items()}
    english = checked.get("en")
    for code, scored in checked.items():
        if parallel and english is not None and code != "en" and _same_rows(scored, english):
            figures[code]["rankc"] = {
                kind: rankc(english.scores, scored.scores, kind) for kind in RANKC_KINDS
            }
    accuracies = {code: figure["accuracy"] for code, figure in figures.items()}
    return {"languages": figures} | summary(accuracies)


def _same_rows(one: Scored, other: Scored) -> bool:
    return (
        one.scores.shape == other.scores.shape
        and np.array_equal(one.rows, other.rows)
        and np.array_equal(one.labels, other.labels)
    )
