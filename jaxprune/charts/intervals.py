"""Estimates of several systems by language → rows of dots with whiskers."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.scales import drawable, limits, ticks
from jaxprune.tables import number, tenths

_TINT = 0.05  # opacity of every other row, so that grid lines are seen through it
_STEP = 13  # pixels between the dots of a row


class Estimate(NamedTuple):
    """A value and, where it has one, its interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Series:
    """The estimates of one system (a run, a calibration) in each row (language)."""

    name: str
    values: Mapping[str, Estimate]


def interval_chart(
    series: Sequence[Series], *, title: str, unit: str, chance: float | None = None
) -> Chart:
    """Rows of dots with whiskers, a colour and shape for each series.

    Args:
      series: rows are shown in the order in which the series name them.
      title: of the chart.
      unit: of the horizontal axis, such as "accuracy, %".
      chance: a value that guessing reaches, drawn as a dashed line.
    """
    names = list(dict.fromkeys(name for one in series for name in one.values))
    bounds = [b for one in series for e in one.values.values() for b in e if b is not None]
    ends = limits([*bounds, *([] if chance is None else [chance])])
    axis = theme.number_axis(ticks(*ends), number, title=unit)
    x = theme.quantitative("value", ends, axis, zero=False)
    height = _STEP * len(series) + 10
    layers = [stripes(names), *([] if chance is None else [_chance(chance)])]
    for place, one in enumerate(series):
        offset = _STEP * (place - (len(series) - 1) / 2)
        layers += _dots(one, [s.name for s in series], x, offset)
    view = {"width": theme.WIDTH, "height": height * max(len(names), 1), "layer": layers}
    return Chart(title, view, theme.WIDTH)


def stripes(names: Sequence[str]) -> dict[str, Any]:
    """A layer behind the rows, every other one tinted; it brings the axis of their names."""
    rows = [{"name": name} for name in names[::2]]
    mark = {"type": "rect", "color": theme.COLOURS["ink"], "fillOpacity": _TINT, "aria": False}
    return theme.layer("stripes", mark, {"y": row_axis(names)}, rows)


def row_axis(names: Sequence[str]) -> dict[str, Any]:
    """The vertical axis of named rows."""
    return theme.nominal("name", names, theme.name_axis(), padding=0)


def _chance(value: float) -> dict[str, Any]:
    row = {"value": value, "said": f"chance: {tenths(value)}"}
    mark = {"type": "rule", "strokeDash": [4, 3], "color": theme.COLOURS["faint"]}
    x = {"field": "value", "type": "quantitative"}
    return theme.layer("chance", mark, {"x": x, "description": {"field": "said"}}, [row])


def _dots(one: Series, names: Sequence[str], x: dict[str, Any], offset: float) -> list[Any]:
    """Whiskers and dots of a series, one of these names, so many pixels below the middle of their rows."""
    points, whiskers = _points(one)
    place = names.index(one.name)
    y = {"field": "name", "type": "nominal"}
    legend = theme.legend(names) if len(names) > 1 else None
    by_series = {"field": "series", "type": "nominal", "title": None, "legend": legend}
    colours = {"domain": list(names), "range": [theme.colour(i) for i in range(len(names))]}
    shapes = {"domain": list(names), "range": [theme.shape(i) for i in range(len(names))]}
    offsets = {"yOffset": offset}
    rule = {"type": "rule", "strokeWidth": 2, "color": theme.colour(place), "aria": False}
    across = {"x": x, "x2": {"field": "high"}, "y": y}
    dot = {"type": "point", "filled": True, "size": 64, "opacity": 1}
    encoding = {
        "x": x,
        "y": y,
        "color": by_series | {"scale": colours},
        "shape": by_series | {"scale": shapes},
        "description": {"field": "said"},
    }
    return [
        theme.layer(f"whiskers_{place}", rule | offsets, across, whiskers),
        theme.layer(f"dots_{place}", dot | offsets, encoding, points),
    ]


def _points(one: Series) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of data of the dots and of the whiskers."""
    points, whiskers = [], []
    for name, (value, low, high) in one.values.items():
        if not math.isfinite(value):
            continue
        said = f"{name}, {one.name}: {number(value)}"
        if low is not None and high is not None and drawable(low, False) and drawable(high, False):
            said += f" [{number(low)}, {number(high)}]"
            whiskers.append({"name": name, "value": low, "high": high})
        points.append({"name": name, "value": value, "series": one.name, "said": said})
    return points, whiskers
