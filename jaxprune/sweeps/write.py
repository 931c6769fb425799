"""The folders of a sweep → measurements.csv, changes.csv, tables.md and report.html, and tables on the terminal."""

from pathlib import Path

from jaxprune.base.files import shown_path, write_text
from jaxprune.base.text import csv_text, table_lines, wrapped
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.measurements import MEASUREMENTS, Measurement
from jaxprune.evaluation.views import ABOUT_CHANGES, ABOUT_MEASURES
from jaxprune.evaluation.write import CHANGES, markdown_tables
from jaxprune.report import write_page
from jaxprune.sweeps import views
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.over_draws import Drawn
from jaxprune.sweeps.page import document
from jaxprune.sweeps.sweep_json import begun_config
from jaxprune.sweeps.tables import SweepResult, read_result
from jaxprune.sweeps.variants import left_out_lines

_TABLES, _DRAWS, _PAGE = "tables.md", "over_draws.csv", "report.html"


def rebuild(workdir: Path) -> SweepResult:
    """Rebuilds tables and page of a sweep, which may be unfinished, from its scores alone.

    Args:
      workdir: has sweep.json and the folders of scores of each variant; no model, text or masks are read.

    Raises:
      InputError: scores of the dense model are missing, or a file is damaged.
    """
    return write_result(begun_config(workdir), workdir)


def write_result(config: SweepConfig, workdir: Path) -> SweepResult:
    """Writes the tables and the page of a sweep's finished variants."""
    result = read_result(config, workdir)
    compared = result.comparison
    contents = {
        MEASUREMENTS: csv_text(
            result.columns(Measurement._fields), result.measured(compared.measurements)
        ),
        CHANGES: csv_text(result.columns(Change._fields), result.measured(compared.changes)),
        _TABLES: sweep_markdown(result),
    }
    if result.drawn:
        contents[_DRAWS] = csv_text(Drawn._fields, result.drawn)
    for name, text in contents.items():
        write_text(workdir / name, text)
    write_page(document(result), workdir / _PAGE)
    return result


def sweep_markdown(result: SweepResult) -> str:
    """All tables as a document."""
    lines = [f"# {result.model}: changes against dense", ""]
    for line in (*views.conclusions(result), *views.notes(result)):
        lines += [line, ""]
    sections = [
        ("In the language of the calibration", views.ABOUT_OWN, views.own_tables(result)),
        ("Every variant in every language", "", views.all_tables(result)),
        ("Over the draws", views.ABOUT_DRAWS, views.drawn_tables(result.drawn)),
    ]
    for title, about, tables in sections:
        if tables:
            lines += [f"## {title}", "", *([about, ""] if about else [])]
            lines += markdown_tables(tables, "###")
    lines += ["## Notes", ""]
    notes = (*left_out_lines(result.left_out), ABOUT_CHANGES, ABOUT_MEASURES)
    return "\n".join([*lines, *(f"- {note}" for note in notes)]) + "\n"


def print_tables(result: SweepResult, workdir: Path) -> None:
    """Prints the first table of each evaluation, the conclusions and the written files."""
    lines = []
    for table in views.main_tables(result):
        lines += ["", table.title, *table_lines(table), *wrapped(table.note)]
    for sentence in (*views.conclusions(result), *views.notes(result)):
        lines += ["", *wrapped(sentence)]
    print("\n".join(f"  {line}".rstrip() for line in lines))
    drawn = (_DRAWS,) if result.drawn else ()
    names = (MEASUREMENTS, CHANGES, *drawn, _TABLES, _PAGE)
    print(f"\n  written: {', '.join(shown_path(workdir / name) for name in names)}")
