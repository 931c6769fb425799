"""Workdirs → one HTML page that needs nothing else: no network, no script."""

from jaxprune.html_report.charts import Change, change_chart, verdict, verdict_mark
from jaxprune.html_report.heatmap import heatmap
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section, page, write_page
from jaxprune.html_report.plot import charts_row
from jaxprune.html_report.tables import table
from jaxprune.html_report.write import FILE, write_report

__all__ = [
    "FILE",
    "Change",
    "Markup",
    "Section",
    "change_chart",
    "charts_row",
    "heatmap",
    "join",
    "page",
    "table",
    "tag",
    "verdict",
    "verdict_mark",
    "write_page",
    "write_report",
]
