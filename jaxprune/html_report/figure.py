"""Charts → figures of the page: a title, and a drawing that scrolls in its own box if it is too wide."""

from jaxprune.charts import VERDICTS, Chart, page_svg
from jaxprune.html_report.markup import Markup, tag


def figure(chart: Chart) -> Markup:
    """A chart under its title."""
    drawing = Markup(page_svg(chart))
    box = tag("div", drawing, class_="scroll", tabindex=0, role="group", aria_label=chart.title)
    return tag("figure", tag("figcaption", tag("b", chart.title)), box, class_="chart")


def charts_row(*charts: Chart) -> Markup:
    """Charts side by side, as many as fit into the window; empty without charts."""
    return tag("div", *map(figure, charts), class_="charts") if charts else Markup()


def verdict_mark(kind: str) -> Markup:
    """The mark of a verdict in charts, as a character; that of a change that is not significant for other verdicts."""
    glyph = VERDICTS.get(kind, VERDICTS["unclear"]).glyph
    return tag("span", glyph, class_=f"glyph {kind}", aria_hidden="true")
