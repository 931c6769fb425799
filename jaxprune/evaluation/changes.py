"""Two evaluations on the same rows → the changes in each language, with intervals and tests."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.evaluation.scoring.metrics import (
    cluster_values,
    holm,
    mcnemar,
    paired_bootstrap,
    ratio_interval,
)
from jaxprune.evaluation.scoring.perplexity import LARGEST_LOG, Perplexity, values_of_parts
from jaxprune.evaluation.scoring.priors import ROW_VALUES
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.translation.bleu import compare_systems
from jaxprune.evaluation.translation.results import Translated

# Fewer parts of a text cannot carry a conclusion: Student's interval then assumes too much.
FEWEST_PARTS = 10
# The languages of rows that are means over languages.
MEAN, MEAN_NON_ENGLISH = "mean", "mean non-en"
# Names of the compared run, of its base and of the task.
Source = tuple[str, str, str]
# The base and the run.
Pairs = Mapping[str, tuple[Scored, Scored]]
RowValues = Callable[[Scored], np.ndarray]


class Change(NamedTuple):
    """The change of a measure from one run, the base, to another, on the same rows.

    Attributes:
      run, base: names of the runs.
      task: name of the task, "perplexity" or "translation".
      language: code, or MEAN or MEAN_NON_ENGLISH for the mean over languages.
      measure: name in `MEASURES`.
      n: number of rows, of predicted tokens, or of sentences.
      base_value, value: values of both runs; shares in [0, 1]. If the tokenizers differ, the perplexities of both are
        per token of the base.
      difference: value - base_value; for perplexity and bits per byte value / base_value - 1.
      low, high: 95% interval of the difference: Student's over parts of the text for perplexity, otherwise the paired
        bootstrap's over rows; None without one.
      p: two-sided p-value of no change: McNemar's exact test for accuracy in a language, sacrebleu's paired bootstrap
        for translations, otherwise the paired bootstrap over rows or groups of rows; None if it is not tested.
      p_holm: `p` after Holm's correction over `family`; None if it is not corrected.
      family: the hypotheses of the correction in words, such as "xnli: 4 languages".
      parts: number of parts of the text in the interval of a perplexity; None for other measures.
    """

    run: str
    base: str
    task: str
    language: str
    measure: str
    n: int
    base_value: float
    value: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    family: str = ""
    parts: int | None = None


def task_changes(source: Source, pairs: Pairs, seed: int) -> list[Change]:
    """The changes of a task in each language, and their means.

    A mean is over languages; its bootstrap draws a row, or a group of rows, in all of them at once, as translations of
    a row tend to be right or wrong together.

    Args:
      pairs: scores of the base and of the run on the same rows, by language.
      seed: seed of the bootstrap.
    """
    tests = [mcnemar(base.correct, run.correct) for base, run in pairs.values()]
    family = f"{source[2]}: {len(pairs)} languages"
    changes = list[Change]()
    for (code, pair), p, p_holm in zip(pairs.items(), tests, holm(tests), strict=True):
        accuracy, *others = mean_changes(source, code, {code: pair}, seed)
        changes += [accuracy._replace(p=p, p_holm=p_holm, family=family), *others]
    changes += mean_changes(source, MEAN, pairs, seed)
    if non_english := {code: pair for code, pair in pairs.items() if code != "en"}:
        changes += mean_changes(source, MEAN_NON_ENGLISH, non_english, seed)
    return changes


def mean_changes(source: Source, language: str, pairs: Pairs, seed: int) -> list[Change]:
    """The changes of the means over some languages, accuracy first; measures without a value are omitted."""
    rows = sum(len(base.rows) for base, _ in pairs.values())
    changes = []
    for measure, values in {"accuracy": lambda scored: scored.correct, **ROW_VALUES}.items():
        if compared := _values(pairs, values):
            difference, (low, high), p = paired_bootstrap(_differences(compared), seed=seed)
            means = _means(compared)
            figures = (*means, difference, low, high, p)
            changes.append(Change(*source, language, measure, rows, *figures))
    return changes


def group_changes(pairs: Pairs, values: RowValues) -> Float[np.ndarray, " G"] | None:
    """The change of a value in each group of rows, mean over languages, see `cluster_values`; None without values."""
    compared = _values(pairs, values)
    return _differences(compared) if compared else None


# The cluster, and the values of the base and of the run, of each row that has them, by language.
_Values = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _values(pairs: Pairs, values: RowValues) -> _Values:
    by_language = []
    for pair in pairs.values():
        base, run = (values(scored).astype(np.float64) for scored in pair)
        if (known := ~np.isnan(base + run)).any():
            by_language.append((pair[0].clusters[known], base[known], run[known]))
    return by_language


def _differences(values: _Values) -> Float[np.ndarray, " G"]:
    return cluster_values([(clusters, run - base) for clusters, base, run in values])


def _means(values: _Values) -> tuple[float, float]:
    base, run = ([side.mean() for side in sides] for sides in list(zip(*values, strict=True))[1:])
    return float(np.mean(base)), float(np.mean(run))


def perplexity_changes(
    source: Source,
    base: Mapping[str, Perplexity],
    run: Mapping[str, Perplexity],
    other_tokenizer: bool,
) -> Iterator[Change]:
    """Relative changes of perplexity and of bits per byte in the languages that both have.

    Args:
      other_tokenizer: compare bits per byte, as the tokens differ.
    """
    for code, a in base.items():
        if (b := run.get(code)) is None:
            continue
        compare = _by_bits if other_tokenizer else _by_tokens
        base_value, value, interval, parts = compare(a, b)
        low, high = (None, None) if interval is None else (bound - 1 for bound in interval)
        values = (base_value, value, value / base_value - 1)
        yield Change(*source, code, "perplexity", a.tokens, *values, low, high, parts=parts)
        x, y = a.bits_per_byte, b.bits_per_byte
        yield Change(*source, code, "bits_per_byte", a.tokens, x, y, y / x - 1)


# The value of the base and of the run, the interval of their ratio, and its number of parts.
_Compared = tuple[float, float, tuple[float, float] | None, int]


def _by_tokens(a: Perplexity, b: Perplexity) -> _Compared:
    """Both perplexities and the interval of their ratio, over parts of the text."""
    interval = ratio_interval(a.part_values, b.part_values)
    return a.perplexity, b.perplexity, interval, len(a.part_tokens)


def _by_bits(a: Perplexity, b: Perplexity) -> _Compared:
    """Both perplexities per token of the base.

    The interval covers the parts that both runs predicted; a tokenizer with longer tokens may omit the last one.
    """
    # a mean over other units: log(perplexity) is in proportion to the bits per byte
    log = math.log(a.perplexity) * b.bits_per_byte / a.bits_per_byte
    parts, interval = min(len(a.part_bytes), len(b.part_bytes)), None
    if parts > 1:
        per_token = a.bytes / a.tokens
        values = (
            per_token * values_of_parts(side.part_sums[:parts], side.part_bytes[:parts])
            for side in (a, b)
        )
        interval = ratio_interval(*values)
    return a.perplexity, math.exp(min(log, LARGEST_LOG)), interval, parts


def translation_changes(
    source: Source, base: Mapping[str, Translated], run: Mapping[str, Translated], target: str
) -> list[Change]:
    """Changes of BLEU and chrF in the languages that both have.

    Raises:
      InputError: sacrebleu is not installed.
    """
    compared = {}
    codes = [code for code in base if code in run]
    for code in codes:
        compared[code] = compare_systems(
            base[code].hypotheses, run[code].hypotheses, base[code].references, target=target
        )
    corrected = dict(zip(codes, holm([c["bleu"].p for c in compared.values()]), strict=True))
    family = f"{source[2]}: {len(codes)} languages"
    changes = []
    for code, scores in compared.items():
        rows = len(base[code].references)
        for measure, score in scores.items():
            change = Change(*source, code, measure, rows, score.a, score.b, score.b - score.a)
            change = change._replace(p=score.p)
            if measure == "bleu":
                change = change._replace(p_holm=corrected[code], family=family)
            changes.append(change)
    return changes
