"""report.html of a sweep: what is better than dense, one table, then charts and the other tables, folded."""

from collections.abc import Iterator, Sequence

import numpy as np

from jaxprune.charts import DIVERGING, Chart, change_chart, change_in_points, heatmap
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.scoring import ALPHA, PERPLEXITY
from jaxprune.evaluation.views import ABOUT_CHANGES, ABOUT_MEASURES, ratio
from jaxprune.html_report import Markup, Section, charts_row, folded, join, note, page, table, tag
from jaxprune.sweeps import views
from jaxprune.sweeps.tables import SweepResult
from jaxprune.sweeps.variants import left_out_lines
from jaxprune.tables import Cell, Table, signed

_UNIT = "points against dense"


def document(result: SweepResult) -> Markup:
    """The page."""
    sentences = [tag("p", sentence) for sentence in views.conclusions(result)]
    noted = [tag("p", tag("strong", line)) for line in views.notes(result)]
    first, *others = views.main_tables(result) or [None]
    about = [note(line) for line in (views.ABOUT_OWN, ABOUT_CHANGES, ABOUT_MEASURES)]
    left_out = [note(line) for line in left_out_lines(result.left_out)]
    charts = [folded(title, charts_row(*drawn)) for title, drawn in _charts(result) if drawn]
    sections = [
        Section("changes", "Changes", join(_shown(first), *map(_folded, others)))
        if first
        else None,
        Section("charts", "Charts", join(*charts)) if charts else None,
        _section("own", "In the language of the calibration", views.own_tables(result)),
        _section("all", "Every variant in every language", views.all_tables(result)),
        _section("draws", "Over the draws", views.drawn_tables(result.drawn), views.ABOUT_DRAWS),
        Section("about", "About the figures", join(*about, *left_out)),
    ]
    return page(f"{result.model}: changes against dense", join(*sentences, *noted), sections)


def _section(name: str, title: str, tables: Sequence[Table], about: str = "") -> Section | None:
    if not tables:
        return None
    return Section(name, title, join(note(about) if about else None, *map(_folded, tables)))


def _folded(shown: Table) -> Markup:
    return folded(shown.title, _shown(shown))


def _shown(shown: Table) -> Markup:
    rows = [
        [tag("span", cell, class_=cell.kind) if isinstance(cell, Cell) else cell for cell in row]
        for row in shown.rows
    ]
    drawn = table(shown.header, rows, caption=shown.title)
    return join(tag("p", tag("b", shown.title)), drawn, note(shown.note) if shown.note else None)


def _charts(result: SweepResult) -> Iterator[tuple[str, list[Chart]]]:
    """Titles and charts: changes of each task by language, and maps of all variants in all languages."""
    changes = [row for row in result.comparison.changes if not row.language.startswith("mean")]
    for task in dict.fromkeys(row.task for row in changes if row.measure == "accuracy"):
        own = views.own_changes(result, task, "accuracy")
        by_language = [
            change_chart(
                [_drawn(row) for row in own if row.language == code], title=code, unit=_UNIT
            )
            for code in dict.fromkeys(row.language for row in own)
        ]
        yield f"{task}: changes by language", by_language
        rows = [row for row in changes if (row.task, row.measure) == (task, "accuracy")]
        points = [row._replace(difference=100 * (row.difference or 0.0)) for row in rows]
        drawn = _variant_map(points, f"{task}, {_UNIT}", scheme=DIVERGING, show=signed)
        yield f"{task}: every variant in every language", [drawn]
    ratios = [
        row._replace(difference=1 + row.difference)
        for row in changes
        if row.measure == PERPLEXITY and row.difference is not None
    ]
    if ratios:
        unit = "perplexity ÷ dense"
        drawn = _variant_map(ratios, "Perplexity, ratio to dense", unit=unit, log=True, show=ratio)
        yield "perplexity: every variant in every language", [drawn]


def _drawn(row: Change) -> tuple:
    bounds = (row.low or 0.0, row.high or 0.0)
    significant = None if row.p_holm is None else row.p_holm <= ALPHA
    return change_in_points(row.run, row.difference or 0.0, bounds, significant)


def _variant_map(rows: Sequence[Change], title: str, **looks: object) -> Chart:
    """The difference of every variant in every language, on a scale that covers all; empty where it was not evaluated."""
    values = {(row.run, row.language): row.difference for row in rows}
    runs, codes = (list(dict.fromkeys(names)) for names in zip(*values, strict=True))
    array = np.array([[values.get((run, code), np.nan) for code in codes] for run in runs])
    return heatmap(array, runs, codes, title=title, x_title="evaluated in", **looks)
