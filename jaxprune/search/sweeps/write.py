"""A sweep's comparison → measurements.csv, changes.csv and report.html, and tables on the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxprune.base.errors import listed
from jaxprune.base.files.whole import write_text
from jaxprune.base.text import Table, wrapped
from jaxprune.evaluation.change_tables import ABOUT_CHANGES
from jaxprune.evaluation.measurements import MEASUREMENTS, frame
from jaxprune.evaluation.pictures import change_charts
from jaxprune.evaluation.run_tables import ABOUT_MEASURES
from jaxprune.evaluation.write import CHANGES, printed
from jaxprune.pages.results import comparison_lead
from jaxprune.report.document import Charts, Folded, Note, Part, Section, page, write_page
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.over_draws import Drawn, drawn_tables
from jaxprune.search.sweeps.result import SweepResult, read_result
from jaxprune.search.sweeps.sweep_json import begun_config
from jaxprune.search.sweeps.variants import left_out_lines

_PAGE, _DRAWS = "report.html", "over_draws.csv"
_ABOUT_OWN = (
    "A row is a calibration. In each language it shows the variant that was calibrated on text of that language, so "
    "its cells may be of different models; variants without text, or on several languages, are one model."
)
_ABOUT_DRAWS = (
    "Means over the draws of the calibration text. In brackets the 95% interval of a mixed model with random effects "
    "of draws and of groups of rows, or of parts of the text; with two draws it is too narrow. Changes of shares "
    "are in points; no p is corrected."
)


def rebuild(workdir: Path) -> SweepResult:
    """Rebuilds tables and page of a sweep, which may be unfinished, from its scores alone.

    Args:
      workdir: workdir with sweep.json and the folders of scores of each variant; no model, text or masks are read.

    Raises:
      InputError: scores of the dense model are missing, or a file is damaged.
    """
    return write_result(begun_config(workdir), workdir)


def write_result(config: SweepConfig, workdir: Path) -> SweepResult:
    """Writes the tables and the page of a sweep's finished variants."""
    result = read_result(config, workdir)
    tables = {MEASUREMENTS: result.table, CHANGES: result.changes}
    if result.drawn:
        tables[_DRAWS] = frame(result.drawn, Drawn._fields)
    for name, table in tables.items():
        write_text(workdir / name, table.to_csv(index=False))
    write_page(_page(result), workdir / _PAGE)
    return result


def print_tables(result: SweepResult, workdir: Path) -> None:
    """Prints the first table of each evaluation, notes on missing variants, and the written files."""
    lines = [line for table in result.main_tables for line in printed(table)]
    for note in (*_missing(result), *result.comparison.notes):
        lines += ["", *wrapped(note)]
    print("\n".join(f"  {line}".rstrip() for line in lines))
    names = (MEASUREMENTS, CHANGES, *([_DRAWS] if result.drawn else []), _PAGE)
    print(f"\n  written in {workdir}: {', '.join(names)}")


def _missing(result: SweepResult) -> Iterator[str]:
    if missing := result.missing:
        yield f"Unfinished: {len(missing)} variants are missing, and so are their figures: {listed(missing)}"


def _page(result: SweepResult) -> str:
    """The page: changes against dense, then tables, the first of each open, and charts."""
    compared = result.comparison
    own, all_tables, over_draws = result.own_tables, result.tables, drawn_tables(result.drawn)
    charts = [
        Folded(f"{task}: every variant by language", [Charts(drawn)])
        for task in dict.fromkeys(row.task for row in compared.changes)
        if (drawn := change_charts(compared.measurements, compared.changes, task))
    ]
    notes = (*left_out_lines(result.left_out), ABOUT_CHANGES, ABOUT_MEASURES)
    sections = (
        Section(
            "own",
            "In the language of the calibration",
            [Note(_ABOUT_OWN), *_folded(own)] if own else [],
        ),
        Section("all", "Every variant in every language", _folded(all_tables)),
        Section(
            "draws",
            "Over the draws",
            [Note(_ABOUT_DRAWS), *_folded(over_draws)] if over_draws else [],
        ),
        Section("charts", "Charts", charts),
        Section("about", "About the figures", [*map(Note, notes)]),
    )
    lead = [*map(Note, _missing(result)), *comparison_lead(compared)]
    return page(result.title, lead, [section for section in sections if section.parts])


def _folded(tables: Sequence[Table]) -> list[Part]:
    """The tables, all but the first folded."""
    first, *others = tables
    return [first, *(Folded(table.title, [table]) for table in others)]
