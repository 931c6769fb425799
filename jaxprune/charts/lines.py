"""Values of every layer → lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.charts import scales, theme
from jaxprune.charts.chart import Chart
from jaxprune.tables import number

_HEIGHT = 170
_DASHES = {"solid": [1, 0], "dashed": [4, 3], "dotted": [1, 3]}


class Line(NamedTuple):
    """Values at 0, 1, … of a horizontal axis.

    Attributes:
      name: in the legend.
      values: what the axis has no place for leaves a gap.
      colour: a number from 0, as that of a series.
      dash: solid, dashed or dotted.
    """

    name: str
    values: Sequence[float]
    colour: int = 0
    dash: str = "solid"


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    width: int = theme.WIDTH,
) -> Chart:
    """Lines over 0, 1, … (layers).

    Args:
      lines: of equal length.
      title: of the chart, with the unit of the vertical axis.
      x_title: of the horizontal axis.
      log: a logarithmic vertical axis; values of 0 or less are not drawn.
      limits: of the vertical axis; around the values by default.
      width: pixels of the whole chart.
    """
    ends = limits or scales.limits((v for one in lines for v in one.values), log=log)
    last = max((len(one.values) for one in lines), default=1) - 1
    x, y = _x(last, x_title), _y(ends, log)
    styles = _styles(lines, width)
    rows = [row for one in lines for row in _rows(one, log)]
    line = {"type": "line", "strokeWidth": 2, "aria": False}
    curves = theme.layer("curves", line, {"x": x, "y": y, **styles}, rows)
    point = {"type": "point", "filled": True, "size": 20, "opacity": 1}
    coloured = {"fill": styles["stroke"] | {"legend": None}, "description": {"field": "said"}}
    drawn = [row for row in rows if row["value"] is not None]
    points = theme.layer("points", point, {"x": x, "y": y, **coloured}, drawn)
    view = {"width": width, "height": _HEIGHT, "layer": [curves, points]}
    return Chart(title, view, width)


def _x(last: int, title: str) -> dict[str, Any]:
    """The horizontal axis from 0 to the last place, with a label at up to eight of them."""
    labels = range(0, last + 1, math.ceil((last + 1) / 8) or 1)
    axis = theme.number_axis(labels, str, title=title, grid=False)
    return theme.quantitative("place", (0, max(last, 1)), axis, padding=8)


def _y(ends: tuple[float, float], log: bool) -> dict[str, Any]:
    axis = theme.number_axis(scales.ticks(*ends, log=log), number, title=None)
    return theme.quantitative("value", ends, axis, zero=False, type="log" if log else "linear")


def _rows(one: Line, log: bool) -> list[dict[str, Any]]:
    values = [float(value) for value in one.values]
    return [
        {
            "place": place,
            "name": one.name,
            "value": value if scales.drawable(value, log) else None,
            "said": f"{one.name}, {place}: {number(value)}",
        }
        for place, value in enumerate(values)
    ]


def _styles(lines: Sequence[Line], width: int) -> dict[str, Any]:
    """Colour and dash by name, with one legend for both."""
    names = [one.name for one in lines]
    legend = theme.legend(names, width, symbolType="stroke", symbolSize=300)
    by_name: dict[str, Any] = {"field": "name", "type": "nominal", "title": None}
    by_name["legend"] = legend if len(lines) > 1 else None
    colours = [theme.colour(one.colour) for one in lines]
    dashes = [_DASHES[one.dash] for one in lines]
    return {
        "stroke": by_name | {"scale": {"domain": names, "range": colours}},
        "strokeDash": by_name | {"scale": {"domain": names, "range": dashes}},
    }
