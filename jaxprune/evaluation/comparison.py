"""Evaluations of several runs → a `Comparison` with the first, the base."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from jaxprune.base.errors import InputError, listed
from jaxprune.base.text import NotebookTable, Table
from jaxprune.evaluation.change_tables import comparison_tables
from jaxprune.evaluation.changes import (
    Change,
    perplexity_changes,
    task_changes,
    translation_changes,
)
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.measurements import MEASURES, Measurement, frame
from jaxprune.evaluation.pictures import change_charts
from jaxprune.evaluation.same_evaluation import check_same, other_tokenizer
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION, Translated
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.panels import grid

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(NotebookTable):
    """The changes from the first of several runs, the base, to each other. Notebooks show them as tables.

    Attributes:
      evaluations: evaluations of the runs, with distinct names.
      changes: changes of every other run from the base.
      notes: how the runs were made, and differences between the evaluations.
      left_out: evaluations that only one of two runs has.
    """

    evaluations: Sequence[Evaluation]
    changes: Sequence[Change]
    notes: Sequence[str] = ()
    left_out: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Names of the runs, the base first."""
        return [evaluation.name for evaluation in self.evaluations]

    @property
    def measurements(self) -> list[Measurement]:
        """The measurements of all runs."""
        return [row for evaluation in self.evaluations for row in evaluation.measurements]

    @property
    def table(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each task, measure and language, and columns for each run.

        Columns: the base's value; for every other run value, difference, low, high, p and p_holm, see `Change`.
        """
        changes, index = frame(self.changes, Change._fields), ["task", "measure", "language"]
        fields = ["value", "difference", "low", "high", "p", "p_holm"]
        others = changes.pivot(index=index, columns="run", values=fields).swaplevel(axis=1)
        table = changes.drop_duplicates(index).set_index(index)[["base_value"]]
        table.columns = type(others.columns).from_tuples([(self.names[0], "value")])
        columns = [(name, field) for name in self.names[1:] for field in fields]
        rows = dict.fromkeys((row.task, row.measure, row.language) for row in self.changes)
        tasks, measures = list(dict.fromkeys(row[0] for row in rows)), list(MEASURES)
        order = sorted(rows, key=lambda row: (tasks.index(row[0]), measures.index(row[1])))
        return table.join(others).reindex(index=order, columns=[*table.columns, *columns])

    @property
    def tables(self) -> list[Table]:
        """Tables of text: an overview of more than two runs, then each run against the base."""
        return comparison_tables(self.names, self.measurements, self.changes)

    def plot(self) -> Chart:
        """The changes by language with intervals: points of accuracy of each task, and ratios of perplexity."""
        charts = [
            chart._replace(title=f"{task}: {chart.title}")
            for task in dict.fromkeys(row.task for row in self.changes)
            for chart in change_charts(self.measurements, self.changes, task)
        ]
        return grid(charts, title=self._shown()[0], columns=2, one_legend=False)

    def _shown(self) -> tuple[str, list[Table]]:
        base, *others = self.names
        return f"{', '.join(others)} against {base}", self.tables


def compare_evaluations(evaluations: Sequence[Evaluation], seed: int = 0) -> Comparison:
    """Compares runs with the first, on the same rows.

    A change of accuracy is significant if McNemar's exact p, after Holm's correction over
    the languages of a task, is at most ALPHA.

    Args:
      evaluations: two or more; the first is the base.
      seed: seed of the bootstrap.

    Raises:
      InputError: a run without evaluation; nothing in common with the base; an evaluation whose inputs differ.
    """
    if len(evaluations) < 2:
        raise InputError("compare: one run; expected two or more, the first of which is the base")
    base, *others = renamed = _with_distinct_names(evaluations)
    changes, left_out = list[Change](), list[str]()
    notes = [f"{run.name}: {', '.join(run.about)}" for run in renamed if run.about]
    for run in others:
        left_out += _left_out(base, run)
        check_same(base, run)
        differs = other_tokenizer(base, run)
        if differs:
            notes.append(
                f"The tokenizers of {base.name} and {run.name} differ: perplexities of both are per token of "
                f"{base.name}, computed from bits per byte."
            )
        for task in base.tasks:
            if task in run.parts:
                base_scores, run_scores = base.scored(task), run.scored(task)
                codes = sorted(base_scores.keys() & run_scores.keys(), key=order)
                pairs = {code: (base_scores[code], run_scores[code]) for code in codes}
                changes += task_changes((run.name, base.name, task), pairs, seed)
        source = (run.name, base.name, PERPLEXITY)
        changes += perplexity_changes(source, base.perplexities, run.perplexities, differs)
        if TRANSLATION in base.parts and TRANSLATION in run.parts:
            a, b = (cast(Mapping[str, Translated], r.parts[TRANSLATION].rows) for r in (base, run))
            target = base.parts[TRANSLATION].facts["protocol"]["target"]
            changes += translation_changes((run.name, base.name, TRANSLATION), a, b, target)
    return Comparison(evaluations=renamed, changes=changes, notes=notes, left_out=left_out)


def order(code: str) -> tuple[bool, str]:
    """A key that sorts languages, English first."""
    return code != "en", code


def _with_distinct_names(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The evaluations; repeated names get a number."""
    names = [evaluation.name for evaluation in evaluations]
    counts = [names[: place + 1].count(name) for place, name in enumerate(names)]
    return [
        evaluation if count == 1 else evaluation.renamed(f"{evaluation.name} ({count})")
        for evaluation, count in zip(evaluations, counts, strict=True)
    ]


def _left_out(base: Evaluation, run: Evaluation) -> Iterator[str]:
    """Notes on evaluations that only one of two runs has; rejects runs without any, or without one in common."""
    names = {evaluation.name: _evaluated(evaluation) for evaluation in (base, run)}
    for name, evaluated in names.items():
        if not evaluated:
            raise InputError(
                f"{name}: not evaluated; expected <task>/evaluation.json, which jaxprune evaluate writes"
            )
    if not {*names[base.name]} & {*names[run.name]}:
        has = (f"{name} has {listed(evaluated, ' ')}" for name, evaluated in names.items())
        raise InputError(f"no task and language in both runs: {'; '.join(has)}")
    for first, second in ((base, run), (run, base)):
        only = [name for name in names[first.name] if name not in names[second.name]]
        if only:
            yield f"only in {first.name}, not compared with {second.name}: {', '.join(only)}"


def _evaluated(run: Evaluation) -> list[str]:
    """The tasks and languages of a run, as "xnli/fr"."""
    return [f"{name}/{code}" for name, part in run.parts.items() for code in part.rows]
