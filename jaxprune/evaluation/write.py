"""Tables of an evaluation or a comparison → lines for a terminal and Markdown; the files of a comparison."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from jaxprune.base.files.whole import write_text
from jaxprune.base.text import (
    JOINED,
    Table,
    as_code,
    csv_text,
    fraction,
    percent,
    table_lines,
    table_pipes,
    wrapped,
)
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.measurements import MEASUREMENTS, Measurement
from jaxprune.evaluation.views import (
    ABOUT_CHANGES,
    ABOUT_MEASURES,
    comparison_tables,
    conclusion,
    evaluation_tables,
)

CHANGES = "changes.csv"


def print_evaluation(evaluation: Evaluation, workdir: Path) -> None:
    """Prints the tables of an evaluation and the written folders."""
    for table in evaluation_tables(evaluation):
        print("\n".join(f"  {line}".rstrip() for line in _printed(table)))
    written = ", ".join(evaluation.parts)
    print(f"\n  written: {written}")


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Writes measurements.csv, changes.csv and compare.md, each atomically; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        MEASUREMENTS: csv_text(Measurement._fields, comparison.measurements),
        CHANGES: csv_text(Change._fields, comparison.changes),
        "compare.md": comparison_markdown(comparison),
    }
    for name, text in contents.items():
        write_text(folder / name, text)
    return [folder / name for name in contents]


def comparison_text(comparison: Comparison) -> str:
    """Lines for a terminal of `tables.WIDTH` columns."""
    lines = [line for note in comparison.notes for line in wrapped(note)]
    for table in comparison_tables(comparison.evaluations, comparison.changes):
        lines += _printed(table)
    lines += ["", *wrapped(conclusion(comparison.changes, comparison.measurements))]
    lines += [
        line for note in (*comparison.left_out, *mask_lines(comparison)) for line in wrapped(note)
    ]
    return "\n".join(["", *lines, "", *wrapped(ABOUT_CHANGES)]) + "\n"


def _printed(table: Table) -> Iterator[str]:
    yield from ("", *wrapped(table.title), *table_lines(table))
    yield from wrapped(table.note) if table.note else ()


def comparison_markdown(comparison: Comparison) -> str:
    """The same as a Markdown document."""
    base, *others = comparison.names
    lines = [
        f"# {', '.join(others)} against {base}",
        "",
        conclusion(comparison.changes, comparison.measurements),
        "",
    ]
    lines += [
        f"- {as_code(one.name)}: {as_code(str(one.folder) if one.folder else 'in memory')}"
        for one in comparison.evaluations
    ]
    tables = comparison_tables(comparison.evaluations, comparison.changes)
    lines += ["", *markdown_tables(tables)]
    notes = [*comparison.notes, *comparison.left_out, *mask_lines(comparison)]
    lines += ["## Notes", "", *(f"- {note}" for note in (*notes, ABOUT_CHANGES, ABOUT_MEASURES))]
    return "\n".join(lines) + "\n"


def markdown_tables(tables: Iterable[Table], level: str = "##") -> Iterator[str]:
    """Lines of tables under their titles."""
    for table in tables:
        yield from (f"{level} {table.title}", "", *table_pipes(table), "")
        yield from (table.note, "") if table.note else ()


def mask_lines(comparison: Comparison) -> Iterator[str]:
    """The overlap of each run's masks with the base's, overall, by layer and by kernel."""
    for run, masks in comparison.masks.items():
        kept = [percent(share) for share in masks.density]
        yield (
            f"masks of {run}: IoU {fraction(masks.overall)} of the kept weights ({fraction(masks.independent)} if the "
            f"masks were independent); {comparison.names[0]} keeps {kept[0]}%, {run} {kept[1]}%"
        )
        layers = {str(layer): share for layer, share in enumerate(masks.layers)}
        for part, shares in (("layer", layers), ("kernel", masks.kernels)):
            listed = ", ".join(f"{name}{JOINED}{fraction(share)}" for name, share in shares.items())
            yield f"IoU by {part}: {listed}"
