"""A chart → SVG text for a page, or a PNG file. vl-convert draws it: no browser, no network, own fonts.

Vega writes the description of a mark as aria-label; pages show it on hover as <title>. The SVG of a page has
no ids, no fonts and no scripts, and its colours are CSS variables (`theme.COLOURS`).
"""

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart

_PIXELS = 2  # of a PNG file, per pixel of the chart
_SVG = "{http://www.w3.org/2000/svg}"
# Characters that XML and HTML do not allow, and lone surrogates, which cannot be encoded.
_IMPOSSIBLE = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
    svg = _tidy(ET.fromstring(_renderer().vegalite_to_svg(_spec(chart))))
    title = ET.Element("title")
    title.text = legal_text(chart.title)
    svg.insert(0, title)
    svg.set("role", "img")
    return ET.tostring(svg, encoding="unicode")


def write_png(chart: Chart, path: Path) -> None:
    """Writes the chart and its title on a white background."""
    path.write_bytes(_renderer().vegalite_to_png(_titled(chart), scale=_PIXELS))


def svg(chart: Chart) -> str:
    """The picture of `write_png` as SVG for notebooks and files."""
    font = str(theme.CONFIG["font"])
    return _renderer().vegalite_to_svg(_titled(chart)).replace(font, f"{font}, Arial, sans-serif")


def _renderer() -> Any:
    """The module vl_convert, imported late as only drawing needs it."""
    import vl_convert

    return vl_convert


def _titled(chart: Chart) -> dict[str, Any]:
    title = {"title": {"text": legal_text(chart.title).split("\n"), "offset": 14}}
    return _spec(chart) | title | {"background": "white", "padding": 12}


def _spec(chart: Chart) -> dict[str, Any]:
    fit = {"autosize": {"type": "fit-x", "contains": "padding"}} if chart.width else {}
    rest = {"config": theme.CONFIG, "background": None, "padding": 2}
    return {**_clean(dict(chart.view)), **rest, **fit}


def legal_text(text: str) -> str:
    """The text, with U+FFFD for each character that XML or HTML does not allow."""
    return _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean(value: Any) -> Any:
    """The value, with `legal_text` applied to every string."""
    if isinstance(value, str):
        return legal_text(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple | range) else value


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
