"""Evaluations → the conclusion at the top of a page, the table of results, charts, and all measures, folded."""

from collections.abc import Iterator, Mapping, Sequence

from jaxprune.base.text import Cell, Table
from jaxprune.evaluation.change_tables import (
    ABOUT_CELLS,
    ABOUT_CHANGES,
    comparison_tables,
    conclusion,
    overview_cell,
    table_title,
)
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.figures import (
    Figures,
    by_key,
    change_kind,
    figure_cell,
    figures_and_means,
    show_value,
)
from jaxprune.evaluation.pictures import accuracy_charts, change_charts
from jaxprune.evaluation.run_tables import ABOUT_MEASURES, accuracy_summary, overlap_note
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.report.document import Charts, Folded, Note, Part, Section

# The order of folders of an evaluation that come after the tasks.
_LAST = {PERPLEXITY: 1, TRANSLATION: 2}
_SENTENCES = 3  # runs with a conclusion that is not folded
# The measures of the first table; the others are folded.
_MAIN = ("accuracy", "perplexity", "bleu")


def comparison_lead(comparison: Comparison) -> list[Part]:
    """The significant changes, and notes that limit their conclusions."""
    by_run = [
        conclusion([row for row in comparison.changes if row.run == run], comparison.measurements)
        for run in comparison.names[1:]
    ]
    first, others = by_run[:_SENTENCES], by_run[_SENTENCES:]
    notes = [*comparison.notes, *comparison.left_out, *_overlaps(comparison.evaluations)]
    folded: list[Part] = [Folded(f"{len(others)} more", others)] if others else []
    return [*filter(None, first), *folded, *map(Note, notes)]


def evaluation_lead(evaluation: Evaluation) -> list[Part]:
    """Mean and worst accuracy of each task, the range of perplexities, and notes that limit conclusions."""
    sentences = [
        f"{task}, accuracy in %: {summary}."
        for task in evaluation.tasks
        if (summary := accuracy_summary(evaluation.parts[task].measurements))
    ]
    if texts := [row.value for row in evaluation.measurements if row.measure == "perplexity"]:
        least, most = (show_value("perplexity", value) for value in (min(texts), max(texts)))
        sentences.append(f"Perplexity: {least}{f' to {most}' if least != most else ''}.")
    return [*filter(None, [" ".join(sentences)]), *map(Note, _overlaps([evaluation]))]


def _overlaps(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    for evaluation in evaluations:
        part = evaluation.parts.get(PERPLEXITY)
        if part and (note := overlap_note(part.facts)):
            yield f"{evaluation.name}: {note}"


def results_section(
    evaluations: Sequence[Evaluation], changes: Sequence[Change] = ()
) -> Section | None:
    """The results of one run, or of several with their changes.

    Args:
      evaluations: evaluations of the runs, the base first.
      changes: changes of all other runs.
    """
    measurements = [row for evaluation in evaluations for row in evaluation.measurements]
    if not measurements:
        return None
    parts: list[Part] = [main_table(evaluations, changes)]
    tasks = dict.fromkeys(row.task for row in measurements)
    for task in sorted(tasks, key=lambda task: _LAST.get(task, 0)):
        charts = accuracy_charts(measurements, task)
        charts += change_charts(measurements, changes, task)
        if charts:
            parts.append(Charts([c._replace(title=f"{task}: {c.title}") for c in charts]))
    if changes:
        names = [evaluation.name for evaluation in evaluations]
        tables, terms = comparison_tables(names, measurements, changes), [ABOUT_CHANGES]
    else:
        tables, terms = evaluations[0].tables, []
    terms += [ABOUT_MEASURES] * any(evaluation.tasks for evaluation in evaluations)
    parts.append(Folded("all measures", tables))
    parts.append(Folded("method and terms", [*map(Note, terms)]))
    return Section("results", "Results", parts)


def main_table(evaluations: Sequence[Evaluation], changes: Sequence[Change]) -> Table:
    """A row for each language: accuracy, perplexity and BLEU of each run, and the changes against the first."""
    measured = [row for evaluation in evaluations for row in evaluation.measurements]
    keyed, figures = by_key(changes), figures_and_means(measured, changes)
    known = {(run, task, measure) for run, task, _, measure in figures}
    measured.sort(key=lambda row: _LAST.get(row.task, 0))
    codes = [row.language for row in measured] + [row.language for row in changes]
    columns = {
        (task, measure): runs
        for task in dict.fromkeys(row.task for row in measured)
        for measure in _MAIN
        if (runs := [e.name for e in evaluations if (e.name, task, measure) in known])
    }
    rows = [
        [
            code,
            *(
                _main_cell(figures, (run, task, code, measure), keyed)
                for (task, measure), runs in columns.items()
                for run in runs
            ),
        ]
        for code in dict.fromkeys(codes)
    ]
    header = ["language"]
    for (task, measure), runs in columns.items():
        title = table_title(task, measure)
        header += [f"{title}, {name}" if len(evaluations) > 1 else title for name in runs]
    return Table("Results by language", header, rows, ABOUT_CELLS if changes else "")


def _main_cell(
    figures: Figures,
    key: tuple[str, str, str, str],
    changes: Mapping[tuple[str, str, str, str], Change],
) -> str:
    """A figure with its change, or with its own interval."""
    if change := changes.get(key):
        return Cell(overview_cell(figures.get(key), change), change_kind(figures, change))
    return figure_cell(figures, key)
