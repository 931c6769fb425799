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


class Series(NamedTuple):
    """The estimates of one system (a run, a calibration) by row (language)."""

    name: str
    values: Mapping[str, Estimate]


def interval_chart(
    series: Sequence[Series], *, title: str, unit: str, chance: float | None = None
) -> Chart:
    """Rows of dots with whiskers; each series has its colour and shape.

    Args:
      series: rows are in the order of their first occurrence in the series.
      title: of the chart.
      unit: of the horizontal axis, such as "accuracy, %".
      chance: the expected value of guessing, or another reference; a dashed line.
    """
    names = list(dict.fromkeys(name for one in series for name in one.values))
    bounds = [b for one in series for e in one.values.values() for b in e if b is not None]
    ends = limits([*bounds, *([] if chance is None else [chance])])
    at = {"x": theme.number_axis("value", ends, title=unit), "y": theme.row_axis(names)}
    layers = [theme.stripes(at["y"])]
    if chance is not None:
        layers.append(_chance(chance))
    for place in range(len(series)):
        layers += _dots(series, place, at)
    return theme.row_chart(title, layers, _STEP * len(series) + 10, len(names))


def _chance(value: float) -> dict[str, Any]:
    row = {"value": value, "said": f"chance: {tenths(value)}"}
    mark = {"type": "rule", "strokeDash": [4, 3], "color": theme.COLOURS["faint"]}
    x = {"field": "value", "type": "quantitative"}
    return theme.layer("chance", mark, {"x": x, **theme.SAID}, [row])


def _dots(series: Sequence[Series], place: int, at: dict[str, Any]) -> list[dict[str, Any]]:
    """Whiskers and dots of one series; the series of a row are spread around its middle."""
    names = [one.name for one in series]
    rows = _rows(series[place])
    whiskers = [row for row in rows if "high" in row]
    legend = theme.legend(names) if len(names) > 1 else None
    offset = {"yOffset": _STEP * (place - (len(series) - 1) / 2)}
    rule = {"type": "rule", "strokeWidth": 2, "color": theme.colour(place)}
    across = at | {"x": at["x"] | {"field": "low"}, "x2": {"field": "high"}}
    dot = {"type": "point", "filled": True, "size": 64, "opacity": 1}
    looks = {
        "color": theme.coded("series", names, [*map(theme.colour, range(len(names)))], legend),
        "shape": theme.coded("series", names, [*map(theme.shape, range(len(names)))], legend),
    }
    return [
        theme.layer(f"whiskers_{place}", rule | offset, across, whiskers),
        theme.layer(f"dots_{place}", dot | offset, at | looks | theme.SAID, rows),
    ]


def _rows(one: Series) -> list[dict[str, Any]]:
    """The data of a series; only rows with an interval have `low` and `high`."""
    rows = []
    for name, (value, low, high) in one.values.items():
        row = {"name": name, "value": value, "series": one.name}
        said = f"{name}, {one.name}: {number(value)}"
        if low is not None and high is not None and math.isfinite(high - low):
            row |= {"low": low, "high": high}
            said += f" [{number(low)}, {number(high)}]"
        if math.isfinite(value):
            rows.append(row | {"said": said})
    return rows
