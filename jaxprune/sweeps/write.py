"""A sweep's comparison → measurements.csv, changes.csv, tables.md and report.html, and tables on the terminal."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxprune.base.errors import listed
from jaxprune.base.files.whole import write_text
from jaxprune.base.text import Table, table_lines, wrapped
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.measurements import MEASUREMENTS, frame
from jaxprune.evaluation.pictures import change_charts
from jaxprune.evaluation.scoring.metrics import ALPHA
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.evaluation.views import (
    ABOUT_CHANGES,
    ABOUT_MEASURES,
    overlap_note,
    show_difference,
    verdict,
)
from jaxprune.evaluation.write import CHANGES, markdown_tables
from jaxprune.report.document import Charts, Folded, Note, Part, Section, page, write_page
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.over_draws import Drawn, drawn_tables
from jaxprune.sweeps.result import SweepResult, read_result
from jaxprune.sweeps.sweep_json import begun_config
from jaxprune.sweeps.variants import left_out_lines

_TABLES, _DRAWS, _PAGE = "tables.md", "over_draws.csv", "report.html"
# The measure that leads in each kind of evaluation.
_FIRST = {PERPLEXITY: "perplexity", TRANSLATION: "bleu"}
_ABOUT_OWN = (
    "A row is a calibration. In each language it shows the variant that was calibrated on text of that language, so "
    "its cells may be of different models; variants without text, or on several languages, are one model."
)
_ABOUT_DRAWS = (
    "Means over the draws of the calibration text. In brackets the 95% interval of a mixed model with random effects "
    "of draws and of groups of rows, or of parts of the text; then the interval of a bootstrap of both, which is too "
    "narrow for few draws. Changes of shares are in points; no p is corrected."
)


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
    contents = {
        MEASUREMENTS: result.table.to_csv(index=False),
        CHANGES: result.changes.to_csv(index=False),
        _TABLES: _markdown(result),
    }
    if result.drawn:
        contents[_DRAWS] = frame(result.drawn, Drawn._fields).to_csv(index=False)
    for name, text in contents.items():
        write_text(workdir / name, text)
    write_page(_page(result), workdir / _PAGE)
    return result


def print_tables(result: SweepResult, workdir: Path) -> None:
    """Prints the first table of each evaluation, the conclusions and the written files."""
    lines = []
    for table in result.main_tables:
        lines += ["", table.title, *table_lines(table), *wrapped(table.note)]
    for sentence in _lead(result):
        lines += ["", *wrapped(sentence)]
    print("\n".join(f"  {line}".rstrip() for line in lines))
    drawn = (_DRAWS,) if result.drawn else ()
    names = (MEASUREMENTS, CHANGES, *drawn, _TABLES, _PAGE)
    print(f"\n  written: {', '.join(names)}")


class _Part(NamedTuple):
    """Tables under a heading, in tables.md and on the page; `name` is the anchor."""

    name: str
    title: str
    about: str
    tables: Sequence[Table]


def _parts(result: SweepResult) -> list[_Part]:
    parts = [
        _Part("own", "In the language of the calibration", _ABOUT_OWN, result.own_tables),
        _Part("all", "Every variant in every language", "", result.all_tables),
        _Part("draws", "Over the draws", _ABOUT_DRAWS, drawn_tables(result.drawn)),
    ]
    return [part for part in parts if part.tables]


def _lead(result: SweepResult) -> list[str]:
    return [*conclusions(result), *_notes(result)]


def _about(result: SweepResult) -> list[str]:
    return [*left_out_lines(result.left_out), ABOUT_CHANGES, ABOUT_MEASURES]


def _markdown(result: SweepResult) -> str:
    """All tables as a document."""
    lines = [f"# {result.title}", ""]
    for line in _lead(result):
        lines += [line, ""]
    for part in _parts(result):
        lines += [f"## {part.title}", "", *([part.about, ""] if part.about else [])]
        lines += markdown_tables(part.tables, "###")
    notes = (f"- {note}" for note in _about(result))
    return "\n".join([*lines, "## Notes", "", *notes]) + "\n"


def _page(result: SweepResult) -> str:
    """The page: what is better than dense, one table, then charts and the other tables, folded."""
    first, *others = result.main_tables
    sections = [
        Section("changes", "Changes", [first, *_folded(others)]),
        Section("charts", "Charts", [*_charts(result)]),
    ]
    for part in _parts(result):
        about = [Note(part.about)] if part.about else []
        sections.append(Section(part.name, part.title, [*about, *_folded(part.tables)]))
    sections.append(Section("about", "About the figures", [*map(Note, _about(result))]))
    shown = [section for section in sections if section.parts]
    return page(result.title, _lead(result), shown)


def _folded(tables: Sequence[Table]) -> list[Part]:
    return [Folded(table.title, [table]) for table in tables]


def _charts(result: SweepResult) -> Iterator[Part]:
    """The changes of each task: in the rows of the paper's tables, and of every variant."""
    compared = result.comparison
    series = {"calibrations": result.own.changes, "every variant": compared.changes}
    for task in dict.fromkeys(row.task for row in compared.changes):
        for which, changes in series.items():
            if drawn := change_charts(compared.measurements, changes, task):
                yield Folded(f"{task}: {which} by language", [Charts(drawn)])


def conclusions(result: SweepResult) -> Iterator[str]:
    """A sentence for each task and translation: what is significantly better or worse than dense."""
    changes = result.own.changes or result.comparison.changes
    without_prior = {
        (row.run, row.task, row.language): row.p
        for row in changes
        if row.measure == "accuracy_without_prior"
    }
    for task in dict.fromkeys(row.task for row in changes):
        measure = _FIRST.get(task, "accuracy")
        cells = [
            row
            for row in changes
            if (row.task, row.measure) == (task, measure) and row.p_holm is not None
        ]
        if not cells:
            continue
        better, worse = (
            [row for row in cells if verdict(row) == kind] for kind in ("better", "worse")
        )
        vanished = [
            row
            for row in (*better, *worse)
            if (without_prior.get((row.run, task, row.language)) or 0.0) > ALPHA
        ]
        sentence = (
            f"{task}: significantly better than dense: {_named(better)}; "
            f"worse: {len(worse)} of {len(cells)} cells"
        )
        if vanished:
            sentence += f"; significant, but not without the options' priors: {_named(vanished)}"
        yield f"{sentence}."


def _named(rows: Sequence[Change]) -> str:
    shown = [
        f"{row.run} {row.language} ({show_difference(row.measure, row.difference)})" for row in rows
    ]
    return ", ".join(shown) or "none"


def _notes(result: SweepResult) -> Iterator[str]:
    """Sentences on what is missing, and on what cannot be compared."""
    if missing := result.missing:
        yield (
            f"Unfinished: {len(missing)} variants are missing, and so are their figures: {listed(missing)}"
        )
    overlaps: dict[str, list[str]] = {}
    for run in result.comparison.evaluations:
        if PERPLEXITY in run.parts and (note := overlap_note(run.parts[PERPLEXITY].facts)):
            overlaps.setdefault(note, []).append(run.name)
    yield from (f"{', '.join(names)}: {note}" for note, names in overlaps.items())
    yield from dict.fromkeys(result.comparison.notes)
