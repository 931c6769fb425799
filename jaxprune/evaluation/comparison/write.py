"""A comparison of two runs → lines for the terminal, and compare.md, compare.csv and compare.json."""

from collections.abc import Iterator
from pathlib import Path

from jaxprune.evaluation.comparison.compare_json import Comparison, MeanDifference, Sides
from jaxprune.evaluation.comparison.table import (
    GROUPS,
    evaluation_notes,
    figure_rows,
    left_out_notes,
    legend,
    mask_note,
    mask_parts,
    measure_tables,
    notes,
    task_table,
    text_tables,
    title_of,
)
from jaxprune.evaluation.scoring import MEASURES
from jaxprune.files import to_json, write_json, write_text
from jaxprune.tables import JOINED, capitalized, columns, csv_text, grouped_columns, pipes, wrapped

_CSV = (
    "task", "protocol", "language", "rows", "accuracy_a", "accuracy_b", "difference", "low", "high",
    "p_bootstrap", "p_mcnemar", "p_holm", "significant", "gap_to_english_a", "gap_to_english_b",
    "f1_a", "f1_b", "rankc_a", "rankc_b", "rankc_official_a", "rankc_official_b",
    *(f"{measure.name}_{part}" for measure in MEASURES for part in ("a", "b", "difference", "low", "high", "p")),
)  # fmt: skip
_NONE = Sides(None, None)


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Writes compare.csv, compare.md and, last, compare.json, each atomically."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "compare.csv", comparison_csv(comparison))
    write_text(folder / "compare.md", comparison_markdown(comparison))
    write_json(folder / "compare.json", to_json(comparison))


def comparison_text(comparison: Comparison) -> str:
    """Lines for a terminal of `tables.WIDTH` columns."""
    lines = [line for note in evaluation_notes(comparison) for line in wrapped(note)]
    lines += [f"A  {comparison.a}", f"B  {comparison.b}"]
    if comparison.tasks:
        lines += ["", *wrapped(legend(comparison.method))]
    for name, task in comparison.tasks.items():
        table = grouped_columns(GROUPS, figure_rows(task.languages), figure_rows(task.means))
        lines += ["", title_of(name, task), *table]
        lines += [line for note in notes(task) for line in wrapped(note)]
        for title, header, rows in measure_tables(task):
            lines += ["", title, *columns(header, rows)]
    for title, header, rows in text_tables(comparison):
        lines += ["", title, *columns(header, rows)]
    lines += [""] + [line for note in left_out_notes(comparison) for line in wrapped(note)]
    lines += wrapped(mask_note(comparison))
    for part, shares in mask_parts(comparison):
        listed = ", ".join(f"{name}{JOINED}{share}" for name, share in shares)
        lines += wrapped(f"IoU by {part}: {listed}", indent="  ")
    return "\n".join(lines) + "\n"


def comparison_markdown(comparison: Comparison) -> str:
    """The same as a Markdown document."""
    lines = ["# Comparison of two runs", ""]
    lines += [f"{note}\n" for note in evaluation_notes(comparison)]
    lines += [f"- A: `{comparison.a}`", f"- B: `{comparison.b}`"]
    if comparison.tasks:
        lines += ["", legend(comparison.method)]
    for name, task in comparison.tasks.items():
        table = task_table(name, task)
        lines += ["", f"## {table.title}", "", *pipes(table.header, table.rows), ""]
        lines += [f"- {note}" for note in notes(task)]
        for title, header, rows in measure_tables(task):
            lines += ["", f"{capitalized(title)}:", "", *pipes(header, rows)]
    for title, header, rows in text_tables(comparison):
        lines += ["", f"## {title}", "", *pipes(header, rows)]
    lines += ["", "## Masks", "", mask_note(comparison)]
    for part, shares in mask_parts(comparison):
        lines += ["", *pipes([part, "IoU"], shares)]
    if left_out := left_out_notes(comparison):
        lines += ["", "## Left out", "", *(f"- {note}" for note in left_out)]
    return "\n".join(lines) + "\n"


def comparison_csv(comparison: Comparison) -> str:
    """A line for each task and language; all digits, shares in [0, 1], empty cells for missing values."""
    return csv_text(_CSV, _csv_rows(comparison))


def _csv_rows(comparison: Comparison) -> Iterator[list[object]]:
    for name, task in comparison.tasks.items():
        for code, figure in task.languages.items():
            p, rankc = figure.p, figure.rankc or _NONE
            measures = [getattr(figure, measure.name) for measure in MEASURES]
            yield [
                name, task.protocol, code, figure.rows, *figure.accuracy, figure.difference,
                *figure.interval, p.bootstrap, p.mcnemar, p.holm, figure.significant,
                *(figure.gap_to_english or _NONE), *figure.f1,
                *(one and one.corrected for one in rankc), *(one and one.official for one in rankc),
                *(cell for one in measures for cell in _mean_cells(one)),
            ]  # fmt: skip


def _mean_cells(one: MeanDifference | None) -> list[object]:
    return [None] * 6 if one is None else [*one.mean, one.difference, *one.interval, one.p]
