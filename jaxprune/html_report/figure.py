"""Charts → figures of the page: title, and the drawing in a box of its own that scrolls where it is too wide."""

from __future__ import annotations

from jaxprune.charts import VERDICTS, Chart, page_svg
from jaxprune.html_report.markup import Markup, tag


def figure(chart: Chart) -> Markup:
    """A chart under its title."""
    drawing = Markup(page_svg(chart))
    box = tag("div", drawing, class_="scroll", tabindex=0, role="group", aria_label=chart.title)
    return tag("figure", tag("figcaption", tag("b", chart.title)), box, class_="chart")


def charts_row(*charts: Chart) -> Markup:
    """Charts side by side, as far as the window has room; nothing without charts."""
    return tag("div", *map(figure, charts), class_="charts") if charts else Markup()


def verdict_mark(kind: str) -> Markup:
    """The mark of a verdict as it stands in charts, as a character in the text."""
    return tag("span", VERDICTS[kind].glyph, class_=f"glyph {kind}", aria_hidden="true")
