"""Changes over the draws of the calibration text: of a calibration against dense, and against plain text."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.evaluation import Evaluation
from jaxprune.evaluation.changes import MEAN_NON_ENGLISH, group_changes
from jaxprune.evaluation.scoring import (
    PERPLEXITY,
    ROW_VALUES,
    OverDraws,
    cluster_values,
    over_draws,
)
from jaxprune.sweeps.grid import axes_text
from jaxprune.sweeps.variants import DRAW, KIND, SOURCE, Variant

_PLAIN = "monolingual"
LOG_PERPLEXITY = "log-perplexity"
Pair = tuple[Evaluation, Evaluation]  # a reference, and the run that is compared with it
ByDraw = Mapping[str, Pair]


class Drawn(NamedTuple):
    """The change of a measure over the draws of the calibration text.

    Attributes:
      variants: the axes that they share, without the draw and without a single language.
      against: "dense", or "monolingual": variants on plain text of the same language and draw.
      task: name of the task, or "perplexity".
      measure: a name in `MEASURES`, or log-perplexity.
      language: that of the calibration text, or the mean over the languages other than English.
      difference: mean over draws and rows.
      low, high: 95% interval of a mixed model with random effects of draws and of groups of rows; None for one draw.
      p: of the same model, not corrected.
      bootstrap_low, bootstrap_high: of a bootstrap of both, too narrow for few draws.
      draws: number of them.
    """

    variants: str
    against: str
    task: str
    measure: str
    language: str
    difference: float
    low: float | None
    high: float | None
    p: float | None
    bootstrap_low: float
    bootstrap_high: float
    draws: int


class _Measure(NamedTuple):
    """A measure of a task, or of the text, in some languages.

    Attributes:
      changes: its mean change over languages in each group of rows, or part of the text; None if it is not known.
    """

    task: str
    name: str
    languages: Sequence[str]
    changes: Callable[[Mapping[str, Pair]], Float[np.ndarray, " G"] | None]


def drawn_changes(
    variants: Sequence[Variant], evaluations: Sequence[Evaluation], seed: int
) -> Iterator[Drawn]:
    """The changes of each calibration with draws, by reference, measure and language.

    Args:
      variants: the dense model first.
      evaluations: of the variants.
      seed: of the bootstrap.
    """
    runs = {run.name: run for run in evaluations}
    measures = [*_measures(evaluations[0])]
    for name, by_language in _groups(variants).items():
        for against in (variants[0].name, _PLAIN):
            pairs = {
                code: by_draw
                for code, drawn in by_language.items()
                if (by_draw := _pairs(drawn, against, variants, runs))
            }
            for measure in measures:
                known = {code: pairs[code] for code in measure.languages if code in pairs}
                for language, *figures in _changes(measure, known, seed):
                    yield Drawn(name, against, measure.task, measure.name, language, *figures)


def _groups(variants: Sequence[Variant]) -> dict[str, dict[str, list[Variant]]]:
    """The draws of each calibration by language."""
    groups: dict[str, dict[str, list[Variant]]] = {}
    for variant in variants:
        if variant.axes.get(DRAW) is not None:
            left_out = {DRAW, SOURCE} if len(variant.languages) == 1 else {DRAW}
            shared = {path: value for path, value in variant.axes.items() if path not in left_out}
            by_language = groups.setdefault(axes_text(shared), {})
            for code in variant.languages:
                by_language.setdefault(code, []).append(variant)
    return groups


def _pairs(
    drawn: Sequence[Variant],
    against: str,
    variants: Sequence[Variant],
    runs: Mapping[str, Evaluation],
) -> dict[str, Pair]:
    """By draw the reference of each variant, and the variant; empty if the sweep lacks one of the references."""
    pairs = {}
    for variant in drawn:
        base = variants[0] if against != _PLAIN else _on_plain_text(variant, variants)
        if base is None:
            return {}
        pairs[str(variant.axes[DRAW])] = (runs[base.name], runs[variant.name])
    return pairs


def _on_plain_text(variant: Variant, variants: Sequence[Variant]) -> Variant | None:
    """The variant on plain text with the same other axes, or the only one if the criterion may differ too."""
    if variant.axes.get(KIND, _PLAIN) == _PLAIN:
        return None
    for ignored in ({KIND}, {KIND, "pruning.criterion"}):
        same = _without(variant, ignored)
        plain = [
            other
            for other in variants
            if other.axes.get(KIND) == _PLAIN and _without(other, ignored) == same
        ]
        if len(plain) == 1:
            return plain[0]
    return None


def _without(variant: Variant, paths: set[str]) -> dict[str, object]:
    return {path: value for path, value in variant.axes.items() if path not in paths}


def _measures(dense: Evaluation) -> Iterator[_Measure]:
    for task in dense.tasks:
        for name, values in {"accuracy": lambda scored: scored.correct, **ROW_VALUES}.items():
            changes = functools.partial(_of_task, task, values)
            yield _Measure(task, name, [*dense.scored(task)], changes)
    if dense.perplexities:
        yield _Measure(PERPLEXITY, LOG_PERPLEXITY, [*dense.perplexities], _log_perplexity)


def _of_task(
    task: str, values: Callable[..., np.ndarray], pairs: Mapping[str, Pair]
) -> Float[np.ndarray, " G"] | None:
    scored = {}
    for code, (base, run) in pairs.items():
        if (
            task not in run.parts
            or not {code} <= base.scored(task).keys() & run.scored(task).keys()
        ):
            return None
        scored[code] = (base.scored(task)[code], run.scored(task)[code])
    return group_changes(scored, values)


def _log_perplexity(pairs: Mapping[str, Pair]) -> Float[np.ndarray, " G"] | None:
    """Rises in the parts of the text; a part is the same in all languages.

    Texts have no parts with a tokenizer that has no offsets of characters.
    """
    rises = []
    for code, pair in pairs.items():
        texts = [run.perplexities[code] for run in pair if code in run.perplexities]
        if len(texts) < 2 or not all(len(text.part_tokens) for text in texts):
            return None
        base, run = (text.part_values for text in texts)
        rises.append((np.arange(len(base)), base - run))
    return cluster_values(rises)


def _changes(measure: _Measure, pairs: Mapping[str, ByDraw], seed: int) -> Iterator[list[Any]]:
    """The language and the figures of a change in each language, then of the mean of all but English.

    A mean is over the draws that all languages have: an unfinished sweep may lack some.
    """
    others = [code for code in measure.languages if code != "en"]
    changes = {code: _change(measure, {code: by_draw}, seed) for code, by_draw in pairs.items()}
    if others and all(changes.get(code) for code in others):
        changes[MEAN_NON_ENGLISH] = _change(measure, {code: pairs[code] for code in others}, seed)
    for language, change in changes.items():
        if change:
            low, high = change.interval or (None, None)
            drawn = (*change.bootstrap, len(change.by_draw))
            yield [language, change.mean, low, high, change.p, *drawn]


def _change(measure: _Measure, pairs: Mapping[str, ByDraw], seed: int) -> OverDraws | None:
    first, *others = pairs.values()
    draws = [draw for draw in first if all(draw in by_draw for by_draw in others)]
    by_draw = [measure.changes({code: pairs[code][draw] for code in pairs}) for draw in draws]
    known = [values for values in by_draw if values is not None]
    return over_draws(np.stack(known), seed=seed) if 0 < len(known) == len(draws) else None
