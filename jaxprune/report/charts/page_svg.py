"""A chart → an <svg> element for a page.

Vega writes the description of a mark as aria-label; pages show it on hover as <title>. The SVG of a page has
no ids, no fonts and no scripts, and its colours are CSS variables (`theme.COLOURS`).
"""

import re
import xml.etree.ElementTree as ET

from jaxprune.base.templates import legal_text
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart, svg_without_title

_SVG = "{http://www.w3.org/2000/svg}"
_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
_KEPT = frozenset(
    ("class", "d", "fill", "fill-opacity", "height", "opacity", "stroke", "stroke-dasharray",
     "stroke-width", "text-anchor", "transform", "viewBox", "width", "font-weight",
     "x", "y", "x1", "y1", "x2", "y2")
)  # fmt: skip
_DEFAULTS = {
    "fill-opacity": "1",
    "font-weight": "normal",
    "opacity": "1",
    "stroke-width": "1",
    "text-anchor": "start",
}
_VARIABLES = {value: f"var(--{name})" for name, value in theme.COLOURS.items()}


def page_svg(chart: Chart) -> str:
    """The chart as an <svg> element for HTML, without namespace."""
    svg = _tidy(ET.fromstring(svg_without_title(chart)))
    title = ET.Element("title")
    title.text = legal_text(chart.title)
    svg.insert(0, title)
    svg.set("role", "img")
    return ET.tostring(svg, encoding="unicode")


def _tidy(element: ET.Element) -> ET.Element:
    """The element and its visible descendants, with the attributes that a page needs."""
    name = element.tag.removeprefix(_SVG)
    tidy = ET.Element(name, _attributes(element))
    tidy.text = element.text
    for child in element:
        part = _tidy(child)
        if part.tag == "g" and not part.attrib:
            tidy.extend(part)
        elif _is_seen(part):
            tidy.append(part)
    label = element.get("aria-label")
    if label and name != "g":
        ET.SubElement(tidy, "title").text = label
    return tidy


def _is_seen(part: ET.Element) -> bool:
    if part.tag == "g":
        return len(part) > 0
    if part.tag == "text":
        return bool(part.text)
    return part.tag != "path" or part.get("class") not in ("background", "foreground")


def _attributes(element: ET.Element) -> dict[str, str]:
    attributes = {}
    for name, value in element.attrib.items():
        if name not in _KEPT or value == _DEFAULTS.get(name) or value == "translate(0,0)":
            continue
        if name in ("fill", "stroke"):
            value = _colour(value)
        elif name == "class":
            value = _class(value)
        elif name not in ("stroke-dasharray", "font-weight"):
            value = _NUMBER.sub(
                lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), value
            )
        if value:
            attributes[name] = value
    return attributes


def _colour(value: str) -> str:
    """The CSS variable of a colour of the theme; any other colour as #rrggbb."""
    if value.startswith("rgb("):
        value = "#" + "".join(f"{int(channel):02x}" for channel in re.findall(r"\d+", value))
    return _VARIABLES.get(value, value)


def _class(value: str) -> str:
    """The layer name of a group of marks; for axes and legends, their role."""
    words = value.split()
    named = [word.removesuffix("_marks") for word in words if word.endswith("_marks")]
    roles = [word for word in words if word.startswith(("role-axis", "role-legend", "role-title"))]
    plain = [word for word in words if word in ("background", "foreground")]
    return " ".join(named or roles or plain)
