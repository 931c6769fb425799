"""report.html of a sweep: what is better than dense, one table, then charts and the other tables, folded."""

from collections.abc import Iterable, Iterator

from jaxprune.base.text import Table
from jaxprune.evaluation.pictures import change_charts
from jaxprune.evaluation.views import ABOUT_CHANGES, ABOUT_MEASURES
from jaxprune.report.charts import Chart
from jaxprune.report.document import Charts, Folded, Note, Part, Section, page
from jaxprune.sweeps import views
from jaxprune.sweeps.tables import SweepResult
from jaxprune.sweeps.variants import left_out_lines


def document(result: SweepResult) -> str:
    """The page."""
    first = views.main_tables(result)
    charts = [Folded(title, [Charts(drawn)]) for title, drawn in _charts(result)]
    about = (views.ABOUT_OWN, ABOUT_CHANGES, ABOUT_MEASURES, *left_out_lines(result.left_out))
    sections = [
        Section("changes", "Changes", [*first[:1], *_folded(first[1:])]),
        Section("charts", "Charts", charts),
        Section("own", "In the language of the calibration", _folded(views.own_tables(result))),
        Section("all", "Every variant in every language", _folded(views.all_tables(result))),
        Section("draws", "Over the draws", _drawn(result)),
        Section("about", "About the figures", [Note(line) for line in about]),
    ]
    lead = [*views.conclusions(result), *views.notes(result)]
    shown = [section for section in sections if section.parts]
    return page(f"{result.model}: changes against dense", lead, shown)


def _folded(tables: Iterable[Table]) -> list[Part]:
    return [Folded(table.title, [table]) for table in tables]


def _drawn(result: SweepResult) -> list[Part]:
    tables = _folded(views.drawn_tables(result.drawn))
    return [Note(views.ABOUT_DRAWS), *tables] if tables else []


def _charts(result: SweepResult) -> Iterator[tuple[str, list[Chart]]]:
    """Titles and charts of the changes of each task: in the rows of the paper's tables, and of every variant."""
    compared = result.comparison
    own = views.own_row_changes(result)
    for task in dict.fromkeys(row.task for row in compared.changes):
        for which, changes in (("calibrations", own), ("every variant", compared.changes)):
            if drawn := change_charts(compared.measurements, changes, task):
                yield f"{task}: {which} by language", drawn
