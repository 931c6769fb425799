"""Evaluations → the conclusion at the top of a page, the table of results, charts, and all measures, folded."""

from collections.abc import Iterator, Mapping, Sequence

from jaxprune.base.text import NONE, Cell, Table, percent
from jaxprune.evaluation import Evaluation, Measurement
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.continuations import NEW_TOKENS
from jaxprune.evaluation.measurements import MEASURES
from jaxprune.evaluation.pictures import accuracy_charts, change_charts
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.evaluation.views import (
    ABOUT_CHANGES,
    ABOUT_MEASURES,
    Figures,
    at_chance,
    by_key,
    change_kind,
    comparison_tables,
    conclusion,
    evaluation_tables,
    options_of,
    overlap_note,
    overview_cell,
    show_bounds,
    show_value,
)
from jaxprune.report.document import Charts, Folded, Note, Part, Section, Texts

# Of the folders of an evaluation, those after the tasks.
_LAST = {PERPLEXITY: 1, TRANSLATION: 2}
_SENTENCES = 3  # runs with a conclusion that is not folded
# The measures of the first table; the others are folded.
_MAIN = ("accuracy", "perplexity", "bleu")
ABOUT_CONTINUATIONS = (
    f"Greedy continuations of the beginnings of a text's first lines, up to {NEW_TOKENS} tokens. "
    "They illustrate the output and are not a measurement."
)


def comparison_lead(comparison: Comparison) -> list[Part]:
    """What is better and worse, and what stands against a conclusion."""
    by_run = [
        conclusion([row for row in comparison.changes if row.run == run], comparison.measurements)
        for run in comparison.names[1:]
    ]
    first, rest = by_run[:_SENTENCES], by_run[_SENTENCES:]
    notes = [*comparison.notes, *comparison.left_out, *_overlaps(comparison.evaluations)]
    others: list[Part] = [Folded(f"{len(rest)} other runs", rest)] if rest else []
    return [*filter(None, first), *others, *map(Note, notes)]


def evaluation_lead(evaluation: Evaluation) -> list[Part]:
    """Mean and worst accuracy of each task, the range of perplexities, and what stands against a conclusion."""
    figures, sentences = by_key(evaluation.measurements), list[str]()
    for task in evaluation.tasks:
        rows = [row for key, row in figures.items() if key[1] == task and key[3] == "accuracy"]
        if not rows:
            continue
        worst = min(rows, key=lambda row: row.value)
        mean = sum(row.value for row in rows) / len(rows)
        said = f"{task}: mean accuracy {percent(mean)}%"
        said += f", worst in {worst.language}, {percent(worst.value)}%" if len(rows) > 1 else ""
        guessing = [
            row.language
            for row in rows
            if at_chance(row, options_of(figures, row.run, task, row.language))
        ]
        said += f"; at chance in {', '.join(guessing)}" if guessing else ""
        sentences.append(f"{said}.")
    if texts := [row.value for row in figures.values() if row.measure == "perplexity"]:
        least, most = (show_value("perplexity", value) for value in (min(texts), max(texts)))
        sentences.append(f"Perplexity: {least}{f' to {most}' if least != most else ''}.")
    return [*filter(None, [" ".join(sentences)]), *map(Note, _overlaps([evaluation]))]


def _overlaps(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    for evaluation in evaluations:
        part = evaluation.parts.get(PERPLEXITY)
        if part and (note := overlap_note(part.facts)):
            yield note


def results_section(
    evaluations: Sequence[Evaluation], changes: Sequence[Change] = ()
) -> Section | None:
    """The results of one run, or of several with their changes.

    Args:
      evaluations: the base first.
      changes: of all other runs.
    """
    names = [one.name for one in evaluations]
    measurements = [row for one in evaluations for row in one.measurements]
    if not measurements:
        return None
    parts: list[Part] = [main_table(names, measurements, changes)]
    tasks = dict.fromkeys(row.task for row in measurements)
    for task in sorted(tasks, key=lambda task: _LAST.get(task, 0)):
        charts = accuracy_charts(measurements, task)
        charts += change_charts(measurements, changes, task)
        if charts:
            parts.append(Charts([one._replace(title=f"{task}: {one.title}") for one in charts]))
    if changes:
        tables, terms = comparison_tables(names, measurements, changes), [ABOUT_CHANGES]
    else:
        facts = {name: part.facts for name, part in evaluations[0].parts.items()}
        tables, terms = evaluation_tables(measurements, facts), []
    parts.append(Folded("all measures", tables))
    parts.append(Folded("method and terms", [*map(Note, [*terms, ABOUT_MEASURES])]))
    return Section("results", "Results", parts)


def main_table(
    names: Sequence[str], measurements: Sequence[Measurement], changes: Sequence[Change]
) -> Table:
    """A row for each language: accuracy, perplexity and BLEU of each run, and the changes against the first."""
    measurements = sorted(measurements, key=lambda row: _LAST.get(row.task, 0))
    columns = _columns(names, measurements)
    codes = [row.language for row in measurements] + [row.language for row in changes]
    keyed = {(row.run, row.task, row.language, row.measure): row for row in changes}
    of_base = {(row.task, row.language, row.measure): row.base_value for row in changes}
    figures, rows = by_key(measurements), []
    for code in dict.fromkeys(codes):
        row = [code]
        for (task, measure), runs in columns.items():
            for name in runs:
                key = (name, task, code, measure)
                mean = of_base.get(key[1:]) if name == names[0] else None
                row.append(_main_cell(figures, key, keyed.get(key), mean))
        rows.append(row)
    titles = [
        (
            MEASURES[measure].title if task == measure else f"{task}: {MEASURES[measure].title}",
            len(runs),
        )
        for (task, measure), runs in columns.items()
    ]
    header = ["language", *(name for runs in columns.values() for name in runs)]
    note = "In brackets the change against the first run with its 95% interval; *: significant."
    return Table("Results by language", header, rows, [("", 1), *titles], note if changes else "")


def _columns(
    names: Sequence[str], measurements: Sequence[Measurement]
) -> dict[tuple[str, str], list[str]]:
    """The main measures by task, and the runs that have them."""
    known = {(row.task, row.measure, row.run) for row in measurements}
    tasks = dict.fromkeys(row.task for row in measurements)
    columns = {
        (task, measure): [name for name in names if (task, measure, name) in known]
        for task in tasks
        for measure in _MAIN
    }
    return {key: runs for key, runs in columns.items() if runs}


def _main_cell(
    figures: Figures, key: tuple[str, str, str, str], change: Change | None, mean: float | None
) -> str:
    """A figure with its change, or with its own interval; `mean` is the base's, of several languages."""
    measure = key[-1]
    if change:
        return Cell(overview_cell(figures.get(key), change), change_kind(figures, change))
    if row := figures.get(key):
        bounds = f" {show_bounds(measure, row)}" if row.low is not None else ""
        return f"{show_value(measure, row.value)}{bounds}"
    return NONE if mean is None else show_value(measure, mean)


def continued_rows(evaluations: Mapping[str, Evaluation], code: str) -> list[list[str]]:
    """Beginnings in a language that the last of the evaluations has, and their continuations in each."""
    texts = []
    for evaluation in evaluations.values():
        part = evaluation.parts.get(PERPLEXITY)
        lines = part.facts.get("continuations", {}).get(code, ()) if part else ()
        texts.append({line["beginning"]: line["text"] or "(end of text)" for line in lines})
    return [[beginning, *(side.get(beginning, "") for side in texts)] for beginning in texts[-1]]


def continued_languages(evaluation: Evaluation) -> list[str]:
    """The languages of the continuations of an evaluation."""
    part = evaluation.parts.get(PERPLEXITY)
    return list(part.facts.get("continuations", {})) if part else []


def continuation_section(evaluations: Mapping[str, Evaluation]) -> Section | None:
    """A folded table for each language of the last of the evaluations, by the names of their columns."""
    *_, last = evaluations.values()
    folded = [
        Folded(code, [Texts(Table(f"{code}, continued", ["beginning", *evaluations], rows))])
        for code in continued_languages(last)
        if (rows := continued_rows(evaluations, code))
    ]
    if not folded:
        return None
    return Section("continuations", "Continuations", [Note(ABOUT_CONTINUATIONS), *folded])
