"""One HTML page of a run or a comparison that needs nothing else: no network, no script.

`charts` and `heatmap` turn data into figures, `tables` into tables, `page` joins sections to a document; none
of them reads a file. `files` reads workdirs, `sections` and `pruning_sections` say what of them is
shown, `write` does it all.
"""

from jaxprune.html_report.charts import (
    Change,
    Estimate,
    Line,
    Series,
    bar_chart,
    change_chart,
    interval_chart,
    line_chart,
)
from jaxprune.html_report.heatmap import heatmap
from jaxprune.html_report.markup import Markup, escape, tag
from jaxprune.html_report.page import Section, page, write_page
from jaxprune.html_report.tables import table
from jaxprune.html_report.write import write_report

__all__ = [
    "Change",
    "Estimate",
    "Line",
    "Markup",
    "Section",
    "Series",
    "bar_chart",
    "change_chart",
    "escape",
    "heatmap",
    "interval_chart",
    "line_chart",
    "page",
    "table",
    "tag",
    "write_page",
    "write_report",
]
