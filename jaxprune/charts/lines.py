"""Values of every layer → lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.charts import scales, theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.numbers import number

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
    y_title: str | None = None,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    width: int = theme.WIDTH,
) -> Chart:
    """Lines over 0, 1, … (layers).

    Args:
      lines: of equal length.
      title: of the chart, with the unit of the vertical axis where `y_title` has it not.
      x_title, y_title: of the axes.
      log: a logarithmic vertical axis; values of 0 or less are not drawn.
      limits: of the vertical axis; around the values by default.
      width: pixels of the whole chart.
    """
    low, high = limits or scales.limits((v for one in lines for v in one.values), log=log)
    last = max((len(one.values) for one in lines), default=1) - 1
    step = math.ceil((last + 1) / 8) or 1
    x = {
        "field": "place",
        "type": "quantitative",
        "scale": {"domain": [0, max(last, 1)], "nice": False, "padding": 8},
        "axis": theme.number_axis(range(0, last + 1, step), str, title=x_title, grid=False),
    }
    y = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False, "type": _type(log)},
        "axis": theme.number_axis(scales.ticks(low, high, log=log), number, title=y_title),
    }
    encoding = {"x": x, "y": y, **_styles(lines, width)}
    rows = [row for one in lines for row in _points(one, log)]
    return Chart(
        title,
        {
            "width": width,
            "height": _HEIGHT,
            "layer": [
                {
                    "name": "curves",
                    "data": {"values": rows},
                    "mark": {"type": "line", "strokeWidth": 2, "aria": False},
                    "encoding": encoding,
                },
                {
                    "name": "points",
                    "data": {"values": [row for row in rows if row["value"] is not None]},
                    "mark": {"type": "point", "filled": True, "size": 20, "opacity": 1},
                    "encoding": {
                        "x": x,
                        "y": y,
                        "fill": encoding["stroke"] | {"legend": None},
                        "description": {"field": "said"},
                    },
                },
            ],
        },
        width,
    )


def _type(log: bool) -> str:
    return "log" if log else "linear"


def _points(one: Line, log: bool) -> list[dict[str, Any]]:
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
