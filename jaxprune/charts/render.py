"""A chart → SVG text for a page, or a PNG file. Draws by vl-convert: no browser, no network, own fonts.

Vega writes what a mark stands for as aria-label; a page shows it on hovering as <title>. The page's SVG has
no ids, no fonts and no scripts, and its colours are CSS variables (`theme.COLOURS`).
"""

from __future__ import annotations

import re
import resource
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart

# V8, which vl-convert draws with, reserves addresses for a cage and ends the process where it gets none.
_ADDRESSES = 80 << 30
_PIXELS = 2  # of a PNG file, for each of the chart's
_SVG = "{http://www.w3.org/2000/svg}"
# Neither XML nor HTML has these, and lone surrogates cannot be encoded.
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
    """An <svg> element without namespace, as HTML has it, titled by the chart's title; OSError as `check_system`."""
    check_system()
    import vl_convert  # late: only what draws needs it

    drawn = ET.fromstring(vl_convert.vegalite_to_svg(_spec(chart)))
    svg = _tidy(drawn)
    title = ET.Element("title")
    title.text = legal_text(chart.title)
    svg.insert(0, title)
    svg.set("role", "img")
    return ET.tostring(svg, encoding="unicode")


def write_png(chart: Chart, path: Path) -> None:
    """Writes the chart with its title on white; OSError as `check_system`."""
    check_system()
    import vl_convert

    path.write_bytes(vl_convert.vegalite_to_png(_titled(chart), scale=_PIXELS))


def svg(chart: Chart) -> str:
    """The picture of `write_png` as SVG for notebooks and files; OSError as `check_system`."""
    check_system()
    import vl_convert

    font = str(theme.CONFIG["font"])
    return vl_convert.vegalite_to_svg(_titled(chart)).replace(font, f"{font}, Arial, sans-serif")


def _titled(chart: Chart) -> dict[str, Any]:
    title = {"title": {"text": legal_text(chart.title).split("\n"), "offset": 14}}
    return _spec(chart) | title | {"background": "white", "padding": 12}


def check_system() -> None:
    """Refuses to draw in a process that may not have the addresses that the renderer reserves, whose memory it is not.

    Raises:
      OSError: names the limit.
    """
    granted, _ = resource.getrlimit(resource.RLIMIT_AS)
    if granted != resource.RLIM_INFINITY and granted < _ADDRESSES:
        raise OSError(
            f"charts: RLIMIT_AS (ulimit -v) is {granted} bytes; expected no limit, or at least {_ADDRESSES}"
        )


def _spec(chart: Chart) -> dict[str, Any]:
    fit = {"autosize": {"type": "fit-x", "contains": "padding"}} if chart.width else {}
    rest = {"config": theme.CONFIG, "background": None, "padding": 2}
    return {**_clean(dict(chart.view)), **rest, **fit}


def legal_text(text: str) -> str:
    """The text with only characters that XML and HTML may have."""
    return _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _clean(value: Any) -> Any:
    """The same value with `legal_text` in place of every text."""
    if isinstance(value, str):
        return legal_text(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple | range) else value


def _tidy(element: ET.Element) -> ET.Element:
    """The element and those below it that are to be seen, with the attributes that a page needs."""
    name = element.tag.removeprefix(_SVG)
    tidy = ET.Element(name, _attributes(element))
    tidy.text = element.text
    for child in element:
        part = _tidy(child)
        if part.tag == "g" and not part.attrib:
            tidy.extend(part)
        elif _is_seen(part):
            tidy.append(part)
    said = element.get("aria-label")
    if said and name != "g":
        ET.SubElement(tidy, "title").text = said
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
    """The variable of a colour of the theme; any other one as #rrggbb."""
    if value.startswith("rgb("):
        value = "#" + "".join(f"{int(channel):02x}" for channel in re.findall(r"\d+", value))
    return _VARIABLES.get(value, value)


def _class(value: str) -> str:
    """The name of the layer of a group of marks; for axes and legends, which part they are."""
    words = value.split()
    named = [word.removesuffix("_marks") for word in words if word.endswith("_marks")]
    roles = [word for word in words if word.startswith(("role-axis", "role-legend", "role-title"))]
    plain = [word for word in words if word in ("background", "foreground")]
    return " ".join(named or roles or plain)
