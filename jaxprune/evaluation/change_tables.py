"""Measurements and changes of several runs → tables of text, and conclusions."""

from collections.abc import Collection, Mapping, Sequence

from jaxprune.base.text import NONE, VERDICTS, Cell, Table, count, p_value
from jaxprune.evaluation.changes import FEWEST_PARTS, MEAN, MEAN_NON_ENGLISH, Change
from jaxprune.evaluation.figures import (
    Figures,
    by_key,
    change_kind,
    chosen_shares,
    figure_cell,
    ratio,
    show_bounds,
    show_difference,
    show_value,
    verdict,
)  # fmt: skip
from jaxprune.evaluation.measurements import MEASURES, Measurement
from jaxprune.evaluation.scoring.metrics import ALPHA, CONFIDENCE, RESAMPLES
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION

# Explanation of the tables.
ABOUT_CHANGES = (
    f"Changes are in points; of perplexities and bits per byte they are ratios. Their {CONFIDENCE:.0%} "
    "intervals: paired bootstrap over rows, or over groups of rows if the task has groups "
    f"({count(RESAMPLES)} resamples, drawn jointly in all languages of a mean); of perplexity: Student's interval "
    f"over parts of the text, of which fewer than {FEWEST_PARTS} are too little. p: of accuracy in a language "
    "McNemar's exact test, of translations sacrebleu's paired bootstrap, otherwise that of the interval. p Holm: p "
    "after Holm's correction over the languages of the task; "
    f"better and worse: at most {ALPHA}. Other measures are not corrected for multiple tests."
)

# Note of tables with the cells of `overview_cell`.
ABOUT_CELLS = f"In brackets the change against the first run with its {CONFIDENCE:.0%} interval; *: significant."


def comparison_tables(
    names: Sequence[str], measurements: Sequence[Measurement], changes: Sequence[Change]
) -> list[Table]:
    """The tables of a comparison: an overview of more than two runs, then each run against the base.

    Args:
      names: names of the runs, the base first.
      measurements: measurements of all runs.
      changes: changes of all runs but the base.
    """
    base, *others = names
    figures, tables = by_key(measurements), list[Table]()
    if len(others) > 1:
        tables += overview_tables({name: [name] for name in names}, measurements, changes)
    for run in others:
        rows, run_tables = [row for row in changes if row.run == run], list[Table]()
        for task in dict.fromkeys(row.task for row in rows):
            task_rows = [row for row in rows if row.task == task]
            for measure in dict.fromkeys(row.measure for row in task_rows):
                measure_rows = [row for row in task_rows if row.measure == measure]
                run_tables.append(_change_table(figures, measure_rows))
            if task not in (PERPLEXITY, TRANSLATION):
                tested = {row.measure for row in task_rows}
                run_tables.append(_pair_table(figures, (base, run), task, tested))
        against = f", {run} against {base}" if len(others) > 1 else ""
        tables += [table._replace(title=f"{table.title}{against}") for table in run_tables]
    return tables


def _change_table(figures: Figures, rows: Sequence[Change]) -> Table:
    """Both values, the change, its interval and its p by language, with a verdict on corrected tests."""
    first = rows[0]
    run, base, task, measure = first.run, first.base, first.task, first.measure
    unit = "ratio" if MEASURES[measure].scale == "ratio" else "change"
    title, tested = table_title(task, measure), any(row.p is not None for row in rows)
    corrected = any(row.p_holm is not None for row in rows)
    has_verdict = corrected or task == PERPLEXITY
    header = ["language", "n", base, run, unit, "95% interval", *["p"] * tested]
    header += [*["p Holm"] * corrected, *[""] * has_verdict]
    lines = []
    for row in rows:
        kind = change_kind(figures, row)
        shown = show_difference(measure, row.difference)
        lines.append([
            row.language, count(row.n), show_value(measure, row.base_value),
            show_value(measure, row.value), Cell(shown, kind) if has_verdict else shown,
            show_bounds(row), *[p_value(row.p)] * tested,
            *[p_value(row.p_holm)] * corrected,
            *[Cell(VERDICTS[kind] if kind != "untested" else "", kind)] * has_verdict,
        ])  # fmt: skip
    return Table(title, header, lines)


def _pair_table(
    figures: Figures, runs: tuple[str, str], task: str, tested: Collection[str]
) -> Table:
    """The figures of both runs that are not tested."""
    known = {measure for run, name, _, measure in figures if (run, name) == (runs[1], task)}
    measures = [name for name in MEASURES if name in known and name not in tested]
    codes = [code for *key, code, name in figures if (*key, name) == (runs[1], task, "f1")]
    rows = [
        [
            code,
            *(figure_cell(figures, (run, task, code, name)) for name in measures for run in runs),
            *(chosen_shares(figures, run, task, code) for run in runs),
        ]
        for code in codes
    ]
    columns = [*(MEASURES[name].column for name in measures), "chosen %"]
    header = ["language", *(f"{column} {run}" for column in columns for run in runs)]
    return Table(f"{task}: other figures", header, rows)


def table_title(task: str, measure: str) -> str:
    """The title of a table, as "xnli: accuracy, %", or of a column."""
    title = MEASURES[measure].title
    return title if task == measure else f"{task}: {title}"


def overview_tables(
    labels: Mapping[str, Sequence[str]],
    measurements: Sequence[Measurement],
    changes: Sequence[Change],
    label_names: Sequence[str] = ("run",),
) -> list[Table]:
    """A table for each measure, with a row for each run and a column for each language.

    Args:
      labels: cells in front of the row of each run, the base first.
      measurements: measurements of all runs.
      changes: changes of all runs but the base.
      label_names: titles of the labels.
    """
    keyed = {(row.run, row.task, row.language, row.measure): row for row in changes}
    base_values = {(row.task, row.language, row.measure): row.base_value for row in changes}
    figures, tables, base = by_key(measurements), list[Table](), next(iter(labels))
    for task in dict.fromkeys(row.task for row in measurements):
        languages = dict.fromkeys(row.language for row in changes if row.task == task)
        for measure in MEASURES:
            known = {run for run, name, _, m in figures if (name, m) == (task, measure)}
            if not known:
                continue
            mean = (task, MEAN_NON_ENGLISH, measure)
            without = {MEAN} if mean in base_values else {MEAN, MEAN_NON_ENGLISH}
            codes = [code for code in languages if code not in without]
            rows = [
                [
                    *labels[name],
                    *(
                        show_value(measure, base_values[mean])
                        if (name, code) == (base, MEAN_NON_ENGLISH)
                        else overview_cell(figures.get(key), keyed.get(key))
                        for code in codes
                        for key in [(name, task, code, measure)]
                    ),
                ]
                for name in labels
                if name in known
            ]
            if rows:
                title = table_title(task, measure)
                header = [*label_names, *codes]
                note = ABOUT_CELLS if changes else ""
                tables.append(Table(title, header, rows, note, labels=len(label_names)))
    return tables


def overview_cell(figure: Measurement | None, change: Change | None) -> str:
    """The value and its change against the base, such as "74.1 (+0.9 [−0.4, +2.2])*"; a star if it is significant."""
    if change is None:
        return NONE if figure is None else show_value(figure.measure, figure.value)
    measure, kind = change.measure, verdict(change)
    sign = "×" if MEASURES[measure].scale == "ratio" else ""
    bounds = "" if change.low is None else f" {show_bounds(change)}"
    ends = {"few": " too little text", "better": "*", "worse": "*"}
    shown = show_value(measure, change.value)
    return Cell(
        f"{shown} ({sign}{show_difference(measure, change.difference)}{bounds}){ends.get(kind, '')}",
        kind,
    )


def conclusion(changes: Sequence[Change], measurements: Sequence[Measurement]) -> str:
    """A sentence for each run on its significant changes and its perplexities.

    Args:
      changes: changes of all runs but the base.
      measurements: measurements of all runs, which show in which languages the base is at chance.
    """
    figures, sentences = by_key(measurements), []
    for run in dict.fromkeys(row.run for row in changes):
        rows = [row for row in changes if row.run == run]
        tested = [row for row in rows if row.p_holm is not None]
        by_kind: dict[str, list[Change]] = {}
        for row in tested:
            by_kind.setdefault(change_kind(figures, row), []).append(row)
        parts = [
            f"{kind} in {', '.join(map(_change_text, by_kind[kind]))}"
            for kind in ("better", "worse")
            if kind in by_kind
        ]
        if "unclear" in by_kind and not parts:
            parts = [f"no significant change in {len(by_kind['unclear'])} comparisons"]
        if at_chance := by_kind.get("chance"):
            where = ", ".join(f"{row.task} {row.language}" for row in at_chance)
            parts.append(f"no conclusion in {where}, where {rows[0].base} is at chance")
        texts = sorted(
            (row for row in rows if row.measure == "perplexity"), key=lambda row: row.difference
        )
        if texts:
            ends = dict.fromkeys((texts[0], texts[-1]))
            few = [row.language for row in texts if verdict(row) == "few"]
            parts.append(
                "perplexity "
                + " to ".join(f"×{ratio(1 + row.difference)} ({row.language})" for row in ends)
                + f", on too little text in {', '.join(few)}" * bool(few)
            )
        if parts:
            sentences.append(f"{run} against {rows[0].base}: {'; '.join(parts)}.")
    return " ".join(sentences)


def _change_text(change: Change) -> str:
    """A change as text, such as "xnli fr (+0.9)"."""
    return f"{change.task} {change.language} ({show_difference(change.measure, change.difference)})"
