"""Named values → bars: across, with their values, or upright on a log axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.encodings import layer, names, numbers, row_axis, value_layer
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
    x, y = numbers("value", (0, most), None), row_axis([row["name"] for row in rows])
    bar = {"type": "bar", "height": 16}
    layers = [
        layer("whole", bar | {"color": theme.COLOURS["wash"]}, x=x | {"field": "all"}, y=y),
        layer("bars", bar | {"color": theme.colour(0)}, x=x, y=y),
        value_layer([row["name"] for row in rows]),
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
    labels = theme.name_axis(labelAngle=-90, labelColor=theme.COLOURS["faint"])
    scale = theme.number_axis(ticks(low, high, log=True), number, title=None)
    bars = layer(
        "columns",
        {"type": "bar", "color": theme.colour(colour)},
        x=names("name", [name for name, *_ in columns], labels, padding=0.1),
        y=numbers("value", limits, scale, type="log"),
        y2={"field": "low"},
        opacity={"field": "opacity", "type": "quantitative", "scale": None, "legend": None},
    )
    size = {"width": _COLUMN * len(columns), "height": _HEIGHT}
    return Chart(title, {**size, "data": {"values": rows}, "layer": [bars]})
