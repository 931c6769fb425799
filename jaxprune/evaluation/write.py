"""Tables of an evaluation or a comparison → lines for a terminal or Markdown; the files of a comparison."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxprune.base.files.whole import write_text
from jaxprune.base.text import Table, csv_text, pipes, table_lines, wrapped
from jaxprune.evaluation.change_tables import ABOUT_CHANGES, conclusion
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.measurements import MEASUREMENTS, Measurement

CHANGES = "changes.csv"


def print_evaluation(evaluation: Evaluation, workdir: Path) -> None:
    """Prints the tables of an evaluation and the written folders."""
    for table in evaluation.tables:
        print("\n".join(f"  {line}".rstrip() for line in printed(table)))
    written = ", ".join(evaluation.parts)
    print(f"\n  written: {workdir.name}/: {written}")


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes measurements.csv and changes.csv, each atomically; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        MEASUREMENTS: csv_text(Measurement._fields, comparison.measurements),
        CHANGES: csv_text(Change._fields, comparison.changes),
    }
    for name, text in contents.items():
        write_text(folder / name, text)
    return [folder / name for name in contents]


def comparison_text(comparison: Comparison) -> str:
    """Lines for a terminal of `tables.WIDTH` columns."""
    lines = [line for note in comparison.notes for line in wrapped(note)]
    for table in comparison.tables:
        lines += printed(table)
    lines += ["", *wrapped(conclusion(comparison.changes, comparison.measurements))]
    lines += [line for note in comparison.left_out for line in wrapped(note)]
    return "\n".join(["", *lines, "", *wrapped(ABOUT_CHANGES)]) + "\n"


def printed(table: Table) -> Iterator[str]:
    """Lines of a table with its title and note for a terminal."""
    yield from ("", *wrapped(table.title), *table_lines(table))
    yield from wrapped(table.note) if table.note else ()


def markdown_tables(tables: Iterable[Table], level: str = "##") -> Iterator[str]:
    """Lines of tables under their titles."""
    for table in tables:
        yield from (f"{level} {table.title}", "", *pipes(table.header, table.rows), "")
        yield from (table.note, "") if table.note else ()
