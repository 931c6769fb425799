"""Comparisons over the draws of the calibration text: a calibration against dense, and against plain text."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.evaluation import comparison
from jaxprune.evaluation.scoring import MEASURES, OverDraws, Scored, cluster_values, over_draws
from jaxprune.sweeps.plan import DENSE, Group, Variant

Runs = Mapping[Variant, comparison.EvaluatedRun]
# A reference, and the model that is compared with it.
_Pair = comparison.Sides[comparison.EvaluatedRun]
Pairs = Mapping[str, _Pair]  # by language
_PLAIN = "monolingual"
_ACCURACY = "accuracy"
LOG_PERPLEXITY = "log-perplexity"


@dataclass(frozen=True, kw_only=True)
class DrawnRow:
    """A calibration at a sparsity, compared over the draws of its text.

    Attributes:
      calibration, sparsity, mixture: see `tables_json.CalibrationRow`.
      against: "dense", or the calibration of other models of the same language, sparsity and draw.
      task: None for perplexity.
      measure: "accuracy", a measure beside it (shares), or "log-perplexity".
      languages: by language, the change of the models that were calibrated on its text.
      mean_non_english: None if a language is missing.
    """

    calibration: str
    sparsity: float | None
    mixture: str | None
    against: str
    task: str | None
    measure: str
    languages: Mapping[str, OverDraws]
    mean_non_english: OverDraws | None


class _Measure(NamedTuple):
    """A measure of a task, or of the text, in some languages.

    Attributes:
      changes: its mean change over languages in each group of rows, or part of the text; None if it is not known.
    """

    task: str | None
    name: str
    languages: Sequence[str]
    changes: Callable[[Pairs], Float[np.ndarray, " G"] | None]


def drawn_rows(runs: Runs, seed: int) -> Iterator[DrawnRow]:
    """A row for each calibration with draws, reference and measure.

    Args:
      runs: the evaluated variants, the dense model first.
      seed: of the bootstrap.
    """
    measures = [*_measures(next(iter(runs.values())))]
    for group, by_language in _groups(runs).items():
        for against in (DENSE, _PLAIN):
            drawn = {
                code: pairs
                for code, variants in by_language.items()
                if (pairs := _pairs(variants, against, runs))
            }
            for measure in measures if against != group.calibration else ():
                known = {code: drawn[code] for code in measure.languages if code in drawn}
                if row := _row(group, against, measure, known, seed):
                    yield row


def _groups(runs: Runs) -> dict[Group, dict[str, list[Variant]]]:
    """The draws of each calibration by language; the rows of the tables without their draw."""
    groups: dict[Group, dict[str, list[Variant]]] = {}
    for one in runs:
        if one.draw is not None:
            by_language = groups.setdefault(one.group._replace(draw=None), {})
            for code in one.languages:
                by_language.setdefault(code, []).append(one)
    return groups


def _pairs(variants: Sequence[Variant], against: str, runs: Runs) -> dict[int | None, _Pair]:
    """By draw the reference of each variant, and the variant; empty if the sweep has no such references."""
    dense = next(iter(runs))
    others = [
        dense if against == DENSE else dataclasses.replace(one, calibration=against)
        for one in variants
    ]
    if not {*others} <= {*runs}:
        return {}
    pairs = zip(others, variants, strict=True)
    return {one.draw: comparison.Sides(runs[other], runs[one]) for other, one in pairs}


def _measures(dense: comparison.EvaluatedRun) -> Iterator[_Measure]:
    for task, found in dense.tasks.items():
        values: dict[str, Callable[[Scored], np.ndarray]] = {_ACCURACY: lambda one: one.correct}
        for name, value in (values | {one.name: one.values for one in MEASURES}).items():
            changes = functools.partial(_of_task, task, value)
            yield _Measure(task, name, [*found.languages], changes)
    if dense.perplexity:
        yield _Measure(None, LOG_PERPLEXITY, [*dense.perplexity], _log_perplexity)


def _of_task(
    task: str, value: Callable[[Scored], np.ndarray], pairs: Pairs
) -> Float[np.ndarray, " G"] | None:
    scored = {}
    for code, pair in pairs.items():
        if not all(task in run.tasks and code in run.tasks[task].languages for run in pair):
            return None
        scored[code] = comparison.shared_rows(
            code, *(run.tasks[task].languages[code] for run in pair)
        )
    return comparison.change_values(scored, value)


def _log_perplexity(pairs: Pairs) -> Float[np.ndarray, " G"] | None:
    """Rises in the parts of the text; a part is the same in all languages.

    Texts have no parts with a tokenizer that has no offsets of characters.
    """
    rises = []
    for code, pair in pairs.items():
        sides = [run.perplexity[code] for run in pair if code in run.perplexity]
        if len(sides) < 2 or not all(side.by_part for side in sides):
            return None
        a, b = (side.part_values for side in sides)
        rises.append((np.arange(len(a)), a - b))
    return cluster_values(rises)


def _row(
    group: Group,
    against: str,
    measure: _Measure,
    drawn: Mapping[str, Mapping[int | None, _Pair]],
    seed: int,
) -> DrawnRow | None:
    """A row of some languages, from the pairs of each language by draw; None if the measure is not known.

    A mean over languages is over the draws that all of them have: an unfinished sweep may lack some.
    """

    def change(codes: Sequence[str]) -> OverDraws | None:
        draws = [d for d in drawn[codes[0]] if all(d in drawn[code] for code in codes)]
        found = [measure.changes({code: drawn[code][d] for code in codes}) for d in draws]
        values = [one for one in found if one is not None]
        whole = 0 < len(values) == len(found)
        return over_draws(np.stack(values), seed=seed) if whole else None

    languages = {code: one for code in drawn if (one := change([code]))}
    if not languages:
        return None
    others = [code for code in measure.languages if code != "en"]
    every = bool(others) and {*others} <= {*languages}
    return DrawnRow(
        calibration=group.calibration, sparsity=group.sparsity, mixture=group.mixture,
        against=against, task=measure.task, measure=measure.name, languages=languages,
        mean_non_english=change(others) if every else None,
    )  # fmt: skip
