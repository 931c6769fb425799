"""Changes over the draws of the calibration text: of a calibration against dense, and against plain text."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.base.text import NONE, Table, interval, signed
from jaxprune.evaluation.changes import MEAN_NON_ENGLISH, group_changes
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.scoring.metrics import cluster_values
from jaxprune.evaluation.scoring.mixed_effects import mixed_model
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.scoring.priors import ROW_VALUES
from jaxprune.search.sweeps.grid import axes_text
from jaxprune.search.sweeps.variants import DRAW, KIND, SOURCE, Variant

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
      language: language of the calibration text, or the mean over the languages other than English.
      difference: mean over draws and rows.
      low, high: 95% interval of a mixed model with random effects of draws and of groups of rows; None for one draw.
      p: p-value in the same model, not corrected.
      draws: number of draws.
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
    draws: int


# Pairs by language → the mean change over languages in each group of rows, or part of the text; None if not known.
_Changes = Callable[[Mapping[str, Pair]], Float[np.ndarray, " G"] | None]


def drawn_changes(
    variants: Sequence[Variant], evaluations: Sequence[Evaluation]
) -> Iterator[Drawn]:
    """The changes of each calibration with draws, by reference, measure and language.

    Args:
      variants: the dense model first.
      evaluations: evaluations of the variants.
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
            for task, measure, languages, changes in measures:
                known = {code: pairs[code] for code in languages if code in pairs}
                for language, values in _by_language(known, languages, changes).items():
                    (low, high), p = mixed_model(values) or ((None, None), None)
                    figures = (float(values.mean()), low, high, p, len(values))
                    yield Drawn(name, against, task, measure, language, *figures)


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
    """The reference of each variant, and the variant, by draw; empty if the sweep lacks one of the references."""
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


def _measures(dense: Evaluation) -> Iterator[tuple[str, str, list[str], _Changes]]:
    """The task, the name, the languages and the changes of each measure."""
    for task in dense.tasks:
        for name, values in {"accuracy": lambda scored: scored.correct, **ROW_VALUES}.items():
            yield task, name, [*dense.scored(task)], functools.partial(_task_changes, task, values)
    if dense.perplexities:
        yield PERPLEXITY, LOG_PERPLEXITY, [*dense.perplexities], _log_perplexity


def _task_changes(
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
    """Rises in the parts of the text; a part is the same in all languages."""
    rises = []
    for code, pair in pairs.items():
        texts = [run.perplexities[code] for run in pair if code in run.perplexities]
        if len(texts) < 2:
            return None
        base, run = (text.part_values for text in texts)
        rises.append((np.arange(len(base)), base - run))
    return cluster_values(rises)


def _by_language(
    pairs: Mapping[str, ByDraw], languages: Sequence[str], changes: _Changes
) -> dict[str, Float[np.ndarray, "D G"]]:
    """The changes of draws and groups in each language that has some, then their mean over all but English.

    A mean is over the draws that all languages have: an unfinished sweep may lack some.
    """
    others = [code for code in languages if code != "en"]
    by_language = {code: _over_draws({code: by_draw}, changes) for code, by_draw in pairs.items()}
    if others and all(by_language.get(code) is not None for code in others):
        other_pairs = {code: pairs[code] for code in others}
        by_language[MEAN_NON_ENGLISH] = _over_draws(other_pairs, changes)
    return {code: values for code, values in by_language.items() if values is not None}


def _over_draws(pairs: Mapping[str, ByDraw], changes: _Changes) -> Float[np.ndarray, "D G"] | None:
    first, *others = pairs.values()
    draws = [draw for draw in first if all(draw in by_draw for by_draw in others)]
    by_draw = [changes({code: pairs[code][draw] for code in pairs}) for draw in draws]
    known = [values for values in by_draw if values is not None]
    return np.stack(known) if 0 < len(known) == len(draws) else None


def drawn_tables(drawn: Sequence[Drawn]) -> list[Table]:
    """A table for each measure and reference, with a row for each calibration."""
    by_table: dict[tuple[str, str, str], list[Drawn]] = {}
    for row in drawn:
        by_table.setdefault((row.task, row.measure, row.against), []).append(row)
    tables = []
    for (task, measure, against), rows in by_table.items():
        codes = list(dict.fromkeys(row.language for row in rows))
        codes.sort(key=lambda code: code == MEAN_NON_ENGLISH)  # the last column
        cells = {(row.variants, row.language): _cell(row) for row in rows}
        lines = [
            [name, *(cells.get((name, code), NONE) for code in codes)]
            for name in dict.fromkeys(row.variants for row in rows)
        ]
        title = f"{task}: {measure.replace('_', ' ')}, change against {against}"
        tables.append(Table(title, ["variants", *codes], lines))
    return tables


def _cell(row: Drawn) -> str:
    """A change with its interval, such as "+0.45 [−0.10, +1.01]"."""
    scale = 1 if row.measure == LOG_PERPLEXITY else 100

    def show(value: float) -> str:
        return signed(scale * value, 2)

    if row.low is None or row.high is None:
        return show(row.difference)
    return f"{show(row.difference)} {interval((row.low, row.high), show)}"
