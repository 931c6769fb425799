"""Workdirs → one HTML page that needs nothing else, no network, no script; and what was measured → the model card."""

from jaxprune.html_report.figure import charts_row, verdict_mark
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section, fact_list, page, write_page
from jaxprune.html_report.tables import table
from jaxprune.html_report.write import FILE, write_report

__all__ = [
    "FILE",
    "Markup",
    "Section",
    "charts_row",
    "fact_list",
    "join",
    "page",
    "table",
    "tag",
    "verdict_mark",
    "write_page",
    "write_report",
]
