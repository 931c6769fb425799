"""Named values → bars: across, with their values, or upright on a log axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.intervals import row_axis
from jaxprune.charts.scales import ticks
from jaxprune.tables import number, tenths

_COLUMN = 16  # pixels
_HEIGHT = 130
_PALE = 0.4


def bar_chart(bars: Iterable[tuple[str, float]], *, title: str, most: float) -> Chart:
    """Named bars with their values; `most` is what fills the width."""
    rows: list[dict[str, Any]] = [
        {"name": name, "value": max(value, 0.0), "shown": tenths(value), "all": most}
        for name, value in bars
        if math.isfinite(value)
    ]
    x = theme.quantitative("value", (0, most), None)
    y = row_axis([row["name"] for row in rows])
    bar = {"type": "bar", "height": 16, "aria": False}
    value = {"type": "text", "align": "right", "dx": 44, "fontWeight": "bold", "aria": False}
    whole = bar | {"color": theme.COLOURS["wash"]}
    at_the_right = {"x": {"value": "width"}, "y": y, "text": {"field": "shown"}}
    layers = [
        theme.layer("whole", whole, {"x": x | {"field": "all"}, "y": y}),
        theme.layer("bars", bar | {"color": theme.colour(0)}, {"x": x, "y": y}),
        theme.layer("values", value, at_the_right),
    ]
    height = theme.ROW * max(len(rows), 1)
    view = {"width": theme.WIDTH, "height": height, "data": {"values": rows}, "layer": layers}
    return Chart(title, view, theme.WIDTH)


def column_chart(
    columns: Sequence[tuple[str, float, bool]],
    *,
    title: str,
    limits: tuple[float, float],
    colour: int = 0,
) -> Chart:
    """Upright bars on a log axis.

    Args:
      columns: (name, value, whether it is pale) of each, in order; names are unique.
      title: of the chart.
      limits: of the axis; bars begin at the first.
      colour: a number from 0, as that of a series.
    """
    low, high = limits
    rows = [
        {"name": name, "value": value, "low": low, "opacity": _PALE if pale else 1.0}
        for name, value, pale in columns
        if math.isfinite(value) and value > low
    ]
    names = theme.name_axis(labelAngle=-90, labelColor=theme.COLOURS["faint"])
    x = theme.nominal("name", [name for name, *_ in columns], names, padding=0.1)
    numbers = theme.number_axis(ticks(low, high, log=True), number, title=None)
    y = theme.quantitative("value", limits, numbers, type="log")
    opacity = {"field": "opacity", "type": "quantitative", "scale": None, "legend": None}
    mark = {"type": "bar", "color": theme.colour(colour), "aria": False}
    encoding = {"x": x, "y": y, "y2": {"field": "low"}, "opacity": opacity}
    bars = theme.layer("columns", mark, encoding)
    size = {"width": _COLUMN * len(columns), "height": _HEIGHT}
    return Chart(title, {**size, "data": {"values": rows}, "layer": [bars]})
