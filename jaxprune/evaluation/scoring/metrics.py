"""Scores → figures: accuracy, F1, RankC, intervals, tests of a difference. Independent of the model.

All figures are shares in [0, 1]; only tables show percent and points. The bootstrap draws groups of rows if the task
has groups; the other tests assume that rows are independent.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy  # a submodule is imported when it is used first: scipy.stats takes a second
from jaxtyping import Bool, Float, Int

from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.scoring.priors import right_without_prior, within_groups
from jaxprune.evaluation.scoring.scores import Difference, Scored, check_scores

CONFIDENCE = 0.95
ALPHA = 0.05
RESAMPLES = 10_000

# Entries of one draw of the bootstrap, which bounds the memory for any number of rows.
_DRAWN_AT_ONCE = 1 << 22
# From this share of distinct differences on, rows are drawn one by one.
_NEARLY_ALL = 0.9


def weighted_f1(predictions: Int[np.ndarray, " R"], labels: Int[np.ndarray, " R"]) -> float:
    """Mean of the F1 of every label, weighted by its number of rows.

    F1 = 2 TP / (rows with the label + rows predicted to have it), and 0 for a label that never occurs; in
    scikit-learn average="weighted", zero_division=0.
    """
    size = int(max(predictions.max(), labels.max())) + 1
    predicted = np.bincount(predictions, minlength=size)
    support = np.bincount(labels, minlength=size)
    right = np.bincount(labels[predictions == labels], minlength=size)
    f1 = 2 * right / np.maximum(predicted + support, 1)
    return float(f1 @ support / len(labels))


def rankc(scores_a: Float[np.ndarray, "R C"], scores_b: Float[np.ndarray, "R C"]) -> float:
    """Cross-lingual consistency RankC of the same rows and options in two languages.

    Qi, Fernández and Bisazza (EMNLP 2023, arXiv 2310.10378, section 3): options are ranked in each language, P@j is
    the share of options that are among the first j in both languages, and a row's consistency is Σ_j w_j P@j with
    w_j = e^(C-j) / Σ_k e^(C-k). RankC is the mean over rows. With three options the weights are 0.665, 0.245, 0.090.

    The likeliest option is ranked first, as in that paper and its RankC.py (Betswish/Cross-Lingual-Consistency); equal
    scores are ranked by index.
    """
    places = np.arange(1, scores_a.shape[1] + 1)
    weights = np.exp(1.0 - places)
    shares = weights / weights.sum() / places
    from_rank_on = np.cumsum(shares[::-1])[::-1]

    # an option is among the first j of both if j is at least the worse of its two ranks
    worse = np.maximum(_ranks(-scores_a), _ranks(-scores_b))
    return float(from_rank_on[worse].sum(axis=1).mean())


def _ranks(keys: Float[np.ndarray, "R C"]) -> Int[np.ndarray, "R C"]:
    """Rank of every entry in its row; 0 for the smallest."""
    return np.argsort(np.argsort(keys, axis=1, kind="stable"), axis=1)


def wilson_interval(right: int, rows: int) -> tuple[float, float]:
    """Wilson's score interval of an accuracy of right/rows, rows > 0.

    It needs no resampling and no seed, stays within [0, 1], and has a positive width at accuracies of 0 and 1, where
    bootstrap percentiles have none (Brown, Cai and DasGupta 2001).
    """
    interval = scipy.stats.binomtest(right, rows).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def paired_bootstrap(differences: Float[np.ndarray, " R"], *, seed: int = 0) -> Difference:
    """Paired bootstrap over rows of the mean of their differences, R > 0.

    The interval is between percentiles of the resampled differences. The p-value is the share of resamples whose
    distance from the difference is at least the distance of the difference from 0 (two-sided, Efron and Tibshirani
    1993, section 16.4; the observed sample is added as a resample, so p is never 0).

    A resample is a multinomial draw of how often each distinct difference of a row occurs. Rows that are right or
    wrong have three distinct differences, so time and memory do not depend on the number of rows. If nearly all rows
    differ, as with probabilities, rows are drawn one by one, which is then ten times as fast.
    """
    values, counts = np.unique(differences, return_counts=True)
    rng, rows = np.random.default_rng(seed), len(differences)
    at_once = max(1, _DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    if len(values) > _NEARLY_ALL * rows:
        ordered = np.sort(differences)  # so that nothing depends on the order of the rows
        sums = [ordered[rng.integers(0, rows, (size, rows))].sum(axis=1) for size in sizes]
    else:
        sums = [rng.multinomial(rows, counts / rows, size=size) @ values for size in sizes]
    means = np.concatenate(sums) / rows
    difference = float(values @ counts) / rows
    # a resample at exactly this distance counts in spite of rounding
    as_far = np.abs(means - difference) >= abs(difference) - 1e-12
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    p = (1 + int(as_far.sum())) / (1 + RESAMPLES)
    return Difference(difference, (float(low), float(high)), p)


def cluster_values(
    by_language: Sequence[tuple[Int[np.ndarray, " _"], Float[np.ndarray, " _"]]],
) -> Float[np.ndarray, " G"]:
    """A value for each cluster, so that `paired_bootstrap` draws clusters jointly in all languages.

    The mean of the values is the mean over languages of the mean over rows. The mean of a resample is, to first order,
    the same for the rows of the drawn clusters: in a language with R rows of mean m, a cluster of n rows has the value
    m + G/R · Σ(value - m), with G clusters in total. If each cluster is one row of each language, this is the mean of
    the row over languages.

    Args:
      by_language: the cluster and the value of each row.
    """
    keys = np.unique(np.concatenate([clusters for clusters, _ in by_language]))
    total = np.zeros(len(keys))
    for clusters, values in by_language:
        place, rows = np.searchsorted(keys, clusters), len(values)
        sums, sizes = (np.bincount(place, weights, len(keys)) for weights in (values, None))
        total += sums / rows * len(keys) / len(by_language)
        total += values.mean() * (1 - sizes * len(keys) / rows) / len(by_language)
    return total


def ratio_interval(
    a: Sequence[float] | Float[np.ndarray, " _"], b: Sequence[float] | Float[np.ndarray, " _"]
) -> tuple[float, float] | None:
    """Interval of the ratio of two perplexities, B's over A's, of the same text in parts or in windows of one length.

    The logarithm of the ratio is the mean of the differences, A's minus B's. Its interval is Student's t interval for
    paired differences, which is wider than a bootstrap's for few differences. It estimates the variation of the ratio
    over other texts of the same kind.

    Args:
      a, b: mean log-probability of each window, or `Perplexity.part_values`; the same windows or parts in both.

    Returns:
      The bounds; None for a single window or part.
    """
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    if len(differences) < 2:
        return None
    quantile = scipy.special.stdtrit(len(differences) - 1, (1 + CONFIDENCE) / 2)
    reach = quantile * differences.std(ddof=1)
    reach /= len(differences) ** 0.5
    low, high = np.exp(np.clip(differences.mean() + np.array([-reach, reach]), -700, 700))
    return float(low), float(high)


def mcnemar(a: Bool[np.ndarray, " R"], b: Bool[np.ndarray, " R"]) -> float:
    """Exact two-sided p-value of McNemar's test that a and b are right equally often.

    Among the rows that only one of them has right, the number of a's is binomial with 1/2.
    """
    only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    rows = only_a + only_b
    return float(scipy.stats.binomtest(only_a, rows).pvalue) if rows else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number (Holm 1979): reject those at most alpha.

    The probability to reject any true hypothesis is then at most alpha, for any dependence of the tests.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return np.minimum(adjusted, 1.0).tolist()


def task_measurements(
    source: tuple[str, str, str], by_language: Mapping[str, Scored], *, parallel: bool = True
) -> list[Measurement]:
    """The measurements of a task, see `MEASURES`.

    Args:
      source: names of the run, the model and the task.
      by_language: scores of at least one language.
      parallel: whether row i is the same question in every language. Then a language has RankC against English, except
        English itself and languages whose rows, labels or options differ from the English data. The gap to English is
        its accuracy minus that of the language.

    Raises:
      InputError: as `check_scores`.
    """
    measured, english = list[Measurement](), by_language.get("en")
    for code, scored in by_language.items():
        check_scores(scored, code)
        figures = _figures(scored)
        if english is not None and code != "en":
            gap = english.correct.mean() - scored.correct.mean()
            figures["gap_to_english"] = float(gap)
        if parallel and english is not None and code != "en" and _same_rows(scored, english):
            figures["rankc"] = rankc(english.scores, scored.scores)
        for measure, figure in figures.items():
            value, low, high = figure if isinstance(figure, tuple) else (figure, None, None)
            measured.append(Measurement(*source, code, measure, value, low, high, len(scored.rows)))
    return measured


def _figures(scored: Scored) -> dict[str, float | tuple[float, float, float]]:
    """The figures of one language by measure, without RankC; with their interval if they have one."""
    labels, predictions = scored.labels, scored.scores.argmax(axis=1)
    right, rows = int(scored.correct.sum()), len(labels)
    figures: dict[str, float | tuple[float, float, float]] = {
        "accuracy": (right / rows, *wilson_interval(right, rows)),
        "f1": weighted_f1(predictions, labels),
        "probability": float(scored.probability.mean()),
        "accuracy_without_prior": float(right_without_prior(scored).mean()),
    }
    compared = within_groups(scored)
    known = ~np.isnan(compared.preferred)
    if known.any():
        values = cluster_values([(scored.clusters[known], compared.preferred[known])])
        drawn = paired_bootstrap(values)
        # the interval of few groups may be wider than a share can be
        low, high = np.clip(drawn.interval, 0, 1).tolist()
        figures["discrimination"] = (drawn.difference, low, high)
        figures["contrast"] = float(np.nanmean(compared.contrast))
    chosen = np.bincount(predictions, minlength=scored.scores.shape[1]) / rows
    return figures | {f"chosen_{option}": share for option, share in enumerate(chosen.tolist())}


def _same_rows(first: Scored, second: Scored) -> bool:
    return (
        first.scores.shape == second.scores.shape
        and np.array_equal(first.rows, second.rows)
        and np.array_equal(first.labels, second.labels)
    )
