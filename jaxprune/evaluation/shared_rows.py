"""Evaluations of several runs → the rows that all of them have."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.text import count
from jaxprune.evaluation.evaluation import Evaluation, Part
from jaxprune.evaluation.scoring.metrics import task_measurements
from jaxprune.evaluation.scoring.scores import Scored


def on_shared_rows(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[str]]:
    """The evaluations with the rows of each task and language that all of them have, and notes where rows are lost."""
    base, notes = evaluations[0], dict[str, list[str]]()
    shared: dict[str, dict[str, dict[str, Scored]]] = {one.name: {} for one in evaluations}
    for task in base.tasks:
        for code in base.scored(task):
            runs = {
                one.name: one.scored(task)[code]
                for one in evaluations
                if task in one.parts and code in one.scored(task)
            }
            cut = shared_rows(f"{task}/{code}", runs)
            for name, scored in cut.items():
                shared[name].setdefault(task, {})[code] = scored
            sizes = {name: len(scored.rows) for name, scored in runs.items()}
            rows = len(cut[base.name].rows)
            if {*sizes.values()} != {rows}:
                has = ", ".join(f"{name} has {count(size)}" for name, size in sizes.items())
                notes.setdefault(
                    f"{count(rows)} rows are in all runs and count ({has})", []
                ).append(code)
    cut_parts = [_cut(one, shared[one.name]) for one in evaluations]
    return cut_parts, [f"{' '.join(codes)}: {note}" for note, codes in notes.items()]


def _cut(evaluation: Evaluation, shared: Mapping[str, Mapping[str, Scored]]) -> Evaluation:
    """The evaluation with these scores, and the measurements of its tasks on them."""
    parts = dict(evaluation.parts)
    for task, by_language in shared.items():
        part = parts[task]
        rows = {code: by_language.get(code, cast(Scored, one)) for code, one in part.rows.items()}
        is_whole = all(
            len(rows[code].rows) == len(one.rows) for code, one in evaluation.scored(task).items()
        )
        measured = part.measurements
        if not (measured and is_whole):
            source = (evaluation.name, part.facts.get("model", ""), task)
            parallel = part.facts.get("parallel", True)
            measured = task_measurements(source, rows, parallel=parallel)
        parts[task] = Part(facts=part.facts, measurements=measured, rows=rows)
    return dataclasses.replace(evaluation, parts=parts)


def shared_rows(where: str, runs: Mapping[str, Scored]) -> dict[str, Scored]:
    """The rows that all runs have, in the order of their numbers.

    Args:
      where: task and language, for messages.
      runs: scores by name, the base first.

    Raises:
      InputError: no shared rows, or other options, labels or texts in them.
    """
    rows = functools.reduce(np.intersect1d, [scored.rows for scored in runs.values()])
    if not rows.size:
        raise InputError(f"{where}: no row is in all runs; expected runs on the same rows")
    cut = {
        name: scored.at(np.argsort(scored.rows)[np.searchsorted(np.sort(scored.rows), rows)])
        for name, scored in runs.items()
    }
    (first, base), *others = cut.items()
    for name, scored in others:
        if scored.scores.shape != base.scores.shape:
            raise InputError(
                f"{where}: {base.scores.shape[1]} scores a row in {first} and {scored.scores.shape[1]} in {name}; "
                "expected the same options in both"
            )
        _check_equal(
            f"{where}: row {{row}} has label {{a}} in {first} and {{b}} in {name}",
            base,
            scored,
            "labels",
        )
        if base.digests is not None and scored.digests is not None:
            _check_equal(
                f"{where}: row {{row}} has other text in {first} than in {name}",
                base,
                scored,
                "digests",
            )
    return cut


def _check_equal(message: str, base: Scored, other: Scored, name: str) -> None:
    a, b = getattr(base, name), getattr(other, name)
    if (differ := np.flatnonzero(a != b)).size:
        row = differ[0]
        text = message.format(row=base.rows[row], a=a[row], b=b[row])
        raise InputError(f"{text}; expected runs on the same data")
