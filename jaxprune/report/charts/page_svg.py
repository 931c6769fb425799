"""A chart → an <svg> element for a page.

Vega writes the description of a mark as aria-label; pages show it on hover as <title>. The SVG of a page has
no ids, no fonts and no scripts, and its colours are CSS variables (`theme.COLOURS`).
"""

import xml.etree.ElementTree as ET

from jaxprune.base.templates import legal_text
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart, svg_without_title

_SVG = "{http://www.w3.org/2000/svg}"
_KEPT = frozenset(
    ("class", "d", "fill", "fill-opacity", "height", "opacity", "stroke", "stroke-dasharray",
     "stroke-width", "text-anchor", "transform", "viewBox", "width", "font-weight",
     "x", "y", "x1", "y1", "x2", "y2")
)  # fmt: skip
_VARIABLES = {value: f"var(--{name})" for name, value in theme.COLOURS.items()}


def page_svg(chart: Chart) -> str:
    """The chart as an <svg> element for HTML, without namespace."""
    svg = ET.fromstring(svg_without_title(chart))
    for element in list(svg.iter()):
        for empty in [child for child in element if child.tag == f"{_SVG}text" and not child.text]:
            element.remove(empty)  # labels of a log axis that have no room
        element.tag = element.tag.removeprefix(_SVG)
        if (label := element.get("aria-label")) and element.tag != "g":
            ET.SubElement(element, "title").text = label
        kept = {name: value for name, value in element.attrib.items() if name in _KEPT}
        element.attrib = {name: _VARIABLES.get(value, value) for name, value in kept.items()}
    title = ET.Element("title")
    title.text = legal_text(chart.title)
    svg.insert(0, title)
    svg.set("role", "img")
    return ET.tostring(svg, encoding="unicode")
