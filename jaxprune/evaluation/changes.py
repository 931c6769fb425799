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
      low, high: 95% interval of the difference: Student's over parts of the text for perplexity and bits per byte,
        otherwise the paired bootstrap's over rows; None without one.
      p: two-sided p-value of no change: McNemar's exact test for accuracy in a language, sacrebleu's paired bootstrap
        for translations, otherwise the paired bootstrap over rows or groups of rows; None if it is not tested.
      p_holm: `p` after Holm's correction over `family`; None if it is not corrected.
      family: the hypotheses of the correction in words, such as "xnli: 4 languages".
      parts: number of parts of the text in the interval of a perplexity or of bits per byte; None for other measures.
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
      other_tokenizer: compare bits per byte on the text that both predicted, as the tokens differ.
    """
    for code, a in base.items():
        if (b := run.get(code)) is None:
            continue
        if other_tokenizer:
            a, b = on_common_text(a, b)
        x, y = a.bits_per_byte, b.bits_per_byte
        log = math.log(a.perplexity)
        value = math.exp(min(log * y / x, LARGEST_LOG)) if other_tokenizer else b.perplexity
        values = (a.perplexity, value, value / a.perplexity - 1)
        bounds = _ratio_interval(a, b, other_tokenizer)
        low, high = (None, None) if bounds is None else (bound - 1 for bound in bounds)
        parts = len(a.part_sums)
        yield Change(*source, code, "perplexity", a.tokens, *values, low, high, parts=parts)
        # bits per byte are in proportion to the logarithm of perplexity
        low, high = (None, None) if bounds is None else (math.log(r) / log for r in bounds)
        bits = (x, y, y / x - 1)
        yield Change(*source, code, "bits_per_byte", a.tokens, *bits, low, high, parts=parts)


def on_common_text(a: Perplexity, b: Perplexity) -> tuple[Perplexity, Perplexity]:
    """Both on the parts of the text that both predicted.

    Windows of tokens end at other places with another tokenizer, so the last part may be incomplete in one of them.
    """
    parts = min(len(a.part_sums), len(b.part_sums))
    if parts > 1 and a.part_bytes[parts - 1] != b.part_bytes[parts - 1]:
        parts -= 1
    return a.first_parts(parts), b.first_parts(parts)


def _ratio_interval(
    a: Perplexity, b: Perplexity, other_tokenizer: bool
) -> tuple[float, float] | None:
    """The interval of the ratio of the perplexities, over parts of the text.

    Args:
      other_tokenizer: the means are over bytes instead of tokens, in units of the base's tokens.
    """
    if not other_tokenizer:
        return ratio_interval(a.part_values, b.part_values)
    per_token = a.bytes / a.tokens
    values = (per_token * values_of_parts(side.part_sums, side.part_bytes) for side in (a, b))
    return ratio_interval(*values)


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
