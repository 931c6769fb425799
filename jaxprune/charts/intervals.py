"""Estimates of several systems by language → rows of dots with whiskers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.scales import limits
from jaxprune.tables import number, tenths

_STEP = 13  # pixels between the dots of a row


class Estimate(NamedTuple):
    """A value, with its interval if it has one."""

    value: float
    low: float | None = None
    high: float | None = None


def interval_chart(
    series: Mapping[str, Mapping[str, Estimate]],
    *,
    title: str,
    unit: str,
    chance: float | None = None,
) -> Chart:
    """Rows of dots with whiskers; each series has its colour and shape.

    Args:
      series: name of a system (a run, a calibration) → its estimates by row (language). Rows are in the order of their
        first occurrence.
      title: of the chart.
      unit: of the horizontal axis, such as "accuracy, %".
      chance: the expected value of guessing, or another reference; a dashed line.
    """
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    estimates = [one for values in series.values() for one in values.values()]
    bounds = [bound for one in estimates for bound in one if bound is not None]
    ends = limits([*bounds, *([] if chance is None else [chance])])
    at = {"x": theme.number_axis("value", ends, title=unit), "y": theme.row_axis(names)}
    layers = [theme.stripes(at["y"])]
    if chance is not None:
        reference = {"value": chance, "tooltip": f"chance: {tenths(chance)}"}
        dashed = {"type": "rule", "strokeDash": [4, 3], "color": theme.COLOURS["faint"]}
        x = {"field": "value", "type": "quantitative"}
        layers.append(theme.layer("chance", dashed, {"x": x, **theme.TOOLTIP}, [reference]))
    for place, (name, values) in enumerate(series.items()):
        layers += _dots(list(series), place, _rows(name, values), at)
    return theme.row_chart(title, layers, _STEP * len(series) + 10, len(names))


def _dots(
    names: Sequence[str], place: int, rows: list[dict[str, Any]], at: dict[str, Any]
) -> list[dict[str, Any]]:
    """Whiskers and dots of one of the series; the series of a row are spread around its middle."""
    whiskers = [row for row in rows if "high" in row]
    legend = theme.legend(names) if len(names) > 1 else None
    offset = {"yOffset": _STEP * (place - (len(names) - 1) / 2)}
    rule = {"type": "rule", "strokeWidth": 2, "color": theme.colour(place)}
    across = at | {"x": at["x"] | {"field": "low"}, "x2": {"field": "high"}}
    dot = {"type": "point", "filled": True, "size": 64, "opacity": 1}
    looks = {
        "color": theme.coded("series", names, [*map(theme.colour, range(len(names)))], legend),
        "shape": theme.coded("series", names, [*map(theme.shape, range(len(names)))], legend),
    }
    return [
        theme.layer(f"whiskers_{place}", rule | offset, across, whiskers),
        theme.layer(f"dots_{place}", dot | offset, at | looks | theme.TOOLTIP, rows),
    ]


def _rows(series: str, values: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    """The data of a series; only rows with an interval have `low` and `high`."""
    rows = []
    for name, (value, low, high) in values.items():
        row = {"name": name, "value": value, "series": series}
        tooltip = f"{name}, {series}: {number(value)}"
        if low is not None and high is not None and math.isfinite(high - low):
            row |= {"low": low, "high": high}
            tooltip += f" [{number(low)}, {number(high)}]"
        if math.isfinite(value):
            rows.append(row | {"tooltip": tooltip})
    return rows
