"""The appearance of all charts: colours, sizes, and the axes, legends and layers that they share.

colours.css defines the colours of the light and the dark scheme. Pages draw each as the CSS variable of its name, PNG
files as in the light scheme.
"""

import math
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

WIDTH = 328  # pixels: a phone of 360 without the page's margins
FONT_SIZE = 12
CHARACTER = 6.2  # mean pixels of a character in Liberation Sans, which the renderer contains
CSS = resources.files(__package__).joinpath("colours.css").read_text(encoding="utf-8")
COLOURS = dict(re.findall(r"--(\w+): (#\w+);", CSS.partition("@media")[0]))  # of the light scheme
SHAPES = ("circle", "square", "diamond", "triangle-up", "cross", "triangle-down")
TOOLTIP = {"description": {"field": "tooltip"}}  # text of a mark on hover
_MOST_CHARACTERS = 26
FORMAT = ",.4~g"  # of numbers on axes and legends
TINT = 0.05  # opacity of every other row; grid lines stay visible
_TEXT = {
    "labelFontSize": FONT_SIZE,
    "titleFontSize": FONT_SIZE,
    "titleFontWeight": "normal",
    "labelColor": COLOURS["faint"],
    "titleColor": COLOURS["faint"],
    "labelLimit": 0,  # a limit makes every label slow; `name_axis` truncates names
}
_AXIS = {"domain": False, "ticks": False, "grid": False, "labelPadding": 5}
CONFIG = {
    "font": "Liberation Sans",
    "view": {"stroke": None},
    "text": {"fontSize": FONT_SIZE, "fill": COLOURS["ink"]},
    "axis": _TEXT | _AXIS | {"gridColor": COLOURS["rule"]},
    "legend": _TEXT | {"symbolOpacity": 1, "rowPadding": 4, "offset": 8},
    "title": {
        "fontSize": FONT_SIZE,
        "fontWeight": "bold",
        "color": COLOURS["ink"],
        "anchor": "start",
        "offset": 8,
    },
    "concat": {"spacing": 24},
}


def colour(place: int) -> str:
    """The colour of a series by its index; colours repeat after six."""
    return COLOURS[f"s{place % len(SHAPES)}"]


def shape(place: int) -> str:
    """The shape of the marks of a series by its index."""
    return SHAPES[place % len(SHAPES)]


def text_width(names: Sequence[str]) -> float:
    """The approximate width in pixels of the longest name, as axes show it."""
    return CHARACTER * max((min(len(name), _MOST_CHARACTERS) for name in names), default=0)


def name_axis(title: str | None = None, **more: Any) -> dict[str, Any]:
    """An axis of names; long names are truncated in the middle."""
    label = f"truncate(datum.label, {_MOST_CHARACTERS}, 'center', '…')"
    return {"title": title, "labelColor": COLOURS["ink"], "labelExpr": label} | more


def drawable(value: float, log: bool) -> bool:
    """Whether an axis can show the value."""
    return math.isfinite(value) and (value > 0 or not log)


def legend(names: Sequence[str], width: float = WIDTH, **more: Any) -> dict[str, Any]:
    """A legend above the chart, in as many columns as fit the width."""
    entry = CHARACTER * max(map(len, names), default=1) + 34
    columns = max(1, min(len(names), int(width / entry)))
    return {"orient": "top", "direction": "horizontal", "title": None, "columns": columns} | more


def quantitative(
    field: str, ends: tuple[float, float] | None, axis: dict[str, Any] | None, **scale: Any
) -> dict[str, Any]:
    """A position by a numeric field, on a scale between two ends, by default the ends of the data."""
    domain = {"domain": list(ends)} if ends else {}
    scale = {**domain, "nice": False, "zero": False, **scale}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def scale_title(title: str | None, log: bool) -> str | None:
    """The title of an axis or of a legend of colours; names a logarithmic scale."""
    if not log:
        return title
    return f"{title} (log)" if title else "log scale"


def number_axis(
    field: str, ends: tuple[float, float] | None, *, title: str | None, log: bool = False
) -> dict[str, Any]:
    """A position by a numeric field, with grid lines and labels at round numbers."""
    axis = {"grid": True, "labelFlush": False, "tickCount": 5, "format": FORMAT}
    axis["title"] = scale_title(title, log)
    return quantitative(field, ends, axis, type="log" if log else "linear", padding=8)


def nominal(
    field: str, names: Sequence[str], axis: dict[str, Any] | None, **scale: Any
) -> dict[str, Any]:
    """A position by a field of names."""
    scale = {"domain": list(names), **scale}
    return {"field": field, "type": "nominal", "scale": scale, "axis": axis}


def coded(
    field: str, names: Sequence[str], looks: Sequence[Any], legend: dict[str, Any] | None
) -> dict[str, Any]:
    """An appearance, such as a colour, for each name."""
    scale = {"domain": list(names), "range": list(looks)}
    return {"field": field, "type": "nominal", "title": None, "scale": scale, "legend": legend}


def literal(field: str) -> dict[str, Any]:
    """A colour that each row names itself, without a legend."""
    return {"field": field, "type": "nominal", "scale": None}


def layer(
    name: str, mark: dict[str, Any], encoding: dict[str, Any], rows: Sequence[Any]
) -> dict[str, Any]:
    """A layer of a chart with its data; without `TOOLTIP` its marks have no text on hover."""
    mark = {**mark, "aria": "description" in encoding}
    return {"name": name, "data": {"values": rows}, "mark": mark, "encoding": encoding}
