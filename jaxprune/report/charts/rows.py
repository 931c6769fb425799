"""Charts of named rows: estimates with intervals, and bars with their values."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jaxprune.base.text import VERDICTS, number, tenths
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart

_STEP = 13  # pixels between the dots of a row
_AIR = 10  # pixels between rows
_BAR_ROW = 24  # pixels


_HOLLOW = ("unclear", "chance", "few", "untested")


class Estimate(NamedTuple):
    """A value, with its interval if it has one; a change also with its verdict, a key of `tables.VERDICTS`."""

    value: float
    low: float | None = None
    high: float | None = None
    verdict: str | None = None

    def scaled(self, factor: float) -> "Estimate":
        """The estimate in another unit, such as percent of a share."""
        low, high = (None if bound is None else factor * bound for bound in (self.low, self.high))
        return Estimate(factor * self.value, low, high, self.verdict)


def interval_chart(
    series: Mapping[str, Mapping[str, Estimate]],
    *,
    title: str,
    unit: str,
    reference: tuple[str, float] | None = None,
    log: bool = False,
    show: Callable[[float], str] = number,
    colour: int = 0,
) -> Chart:
    """Rows of dots with whiskers.

    Each series has its colour and shape; its dots are hollow where a verdict is neither better nor worse. A single
    series with verdicts has its values beside the dots.

    Args:
      series: name of a system (a run, a calibration) → its estimates by row (language). Rows are in the order of their
        first occurrence.
      title: title of the chart.
      unit: unit of the horizontal axis, such as "accuracy, %".
      reference: name and value of a dashed line, such as ("chance", 33.3) or, for ratios, ("unchanged", 1).
      log: whether the axis is logarithmic, as it should be for ratios.
      show: value → text.
      colour: index of the first series' colour.
    """
    rows = [
        _row(name, system, estimate, show)
        for system, values in series.items()
        for name, estimate in values.items()
        if theme.drawable(estimate.value, log)
    ]
    names = list(dict.fromkeys(name for values in series.values() for name in values))
    at = {"x": theme.number_axis("value", None, title=unit, log=log), "y": _names(names)}
    layers = [_stripes(at["y"])]
    if reference:
        line = {"value": reference[1], "tooltip": f"{reference[0]}: {show(reference[1])}"}
        dashed = {"type": "rule", "strokeDash": [4, 3], "color": theme.COLOURS["faint"]}
        layers.append(theme.layer("reference", dashed, {"x": at["x"], **theme.TOOLTIP}, [line]))
    looks = _looks(rows, list(series), colour)
    for place, system in enumerate(series):
        own = [row for row in rows if row["series"] == system]
        layers += _dots(own, at, looks, place, len(series))
    has_values = len(series) == 1 and any("verdict" in row for row in rows)
    if has_values:
        layers.append(_values(at["y"], rows))
    return _chart(title, layers, _STEP * max(len(series), has_values + 1) + _AIR, len(names))


def _row(
    name: str, system: str, estimate: Estimate, show: Callable[[float], str]
) -> dict[str, Any]:
    """The data of an estimate; only those with an interval have `low` and `high`."""
    value, low, high, kind = estimate
    row = {"name": name, "value": value, "series": system, "shown": show(value)}
    tooltip = f"{', '.join(filter(None, (name, system)))}: {show(value)}"
    if low is not None and high is not None and math.isfinite(high - low):
        row |= {"low": low, "high": high}
        tooltip += f" [{show(low)}, {show(high)}]"
    if kind:
        tooltip += f", {VERDICTS[kind]}"
        row["verdict"] = kind
    return row | {"tooltip": tooltip}


def _looks(rows: list[dict[str, Any]], names: Sequence[str], first: int) -> dict[str, Any]:
    """The looks of the series, with a legend of several; adds colour and fill of each row to it."""
    colours = [theme.colour(first + place) for place in range(len(names))]
    for row in rows:
        row["colour"] = colours[names.index(row["series"])]
        row["fill"] = theme.COLOURS["paper"] if row.get("verdict") in _HOLLOW else row["colour"]
    legend = theme.legend(names, symbolFillColor="transparent") if len(names) > 1 else None
    shapes = [theme.shape(first + place) for place in range(len(names))]
    return {
        "shape": theme.coded("series", names, shapes, legend),
        "stroke": theme.coded("series", names, colours, legend),
        "fill": theme.literal("fill"),
    }


def _dots(
    rows: list[dict[str, Any]], at: dict[str, Any], looks: dict[str, Any], place: int, count: int
) -> list[dict[str, Any]]:
    """Whiskers and dots of one of `count` series, which are spread around the middle of a row."""
    offset = {"yOffset": _STEP * (place - (count - 1) / 2)}
    rule = {"type": "rule", "strokeWidth": 2}
    dot = {"type": "point", "size": 64, "opacity": 1, "strokeWidth": 2}
    across = at | {"x": at["x"] | {"field": "low"}, "x2": {"field": "high"}}
    coloured = across | {"stroke": theme.literal("colour")}
    whiskers = [row for row in rows if "high" in row]
    return [
        theme.layer(f"whiskers_{place}", rule | offset, coloured, whiskers),
        theme.layer(f"dots_{place}", dot | offset, at | looks | theme.TOOLTIP, rows),
    ]


def bar_chart(bars: Iterable[tuple[str, float]], *, title: str, most: float) -> Chart:
    """Horizontal bars with their values; a bar of `most` fills the width."""
    rows = [
        {"name": name, "value": max(value, 0.0), "shown": tenths(value), "all": most}
        for name, value in bars
        if math.isfinite(value)
    ]
    x = theme.quantitative("value", (0, most), None)
    y = _names([str(row["name"]) for row in rows])
    bar = {"type": "bar", "height": 16}
    whole = bar | {"color": theme.COLOURS["wash"]}
    layers = [
        theme.layer("whole", whole, {"x": x | {"field": "all"}, "y": y}, rows),
        theme.layer("bars", bar | {"color": theme.colour(0)}, {"x": x, "y": y}, rows),
        _values(y, rows),
    ]
    return _chart(title, layers, _BAR_ROW, len(rows))


def _names(names: Sequence[str]) -> dict[str, Any]:
    """The vertical axis."""
    return theme.nominal("name", names, theme.name_axis(), padding=0)


def _stripes(y: dict[str, Any]) -> dict[str, Any]:
    """A background layer that tints every other row of an axis."""
    rows = [{"name": name} for name in y["scale"]["domain"][::2]]
    mark = {"type": "rect", "color": theme.COLOURS["ink"], "fillOpacity": theme.TINT}
    return theme.layer("stripes", mark, {"y": y}, rows)


def _values(y: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A layer of the field `shown` of each row, right of the plot, in its colour if it has one."""
    mark = {"type": "text", "align": "right", "dx": 44, "fontWeight": "bold"}
    encoding = {"x": {"value": "width"}, "y": y, "text": {"field": "shown"}}
    if any("colour" in row for row in rows):
        encoding["fill"] = theme.literal("colour")
    return theme.layer("values", mark, encoding, rows)


def _chart(title: str, layers: list[dict[str, Any]], height: int, count: int) -> Chart:
    """A chart of `count` rows, each `height` pixels high."""
    view = {"width": theme.WIDTH, "height": height * max(count, 1), "layer": layers}
    return Chart(title, view, theme.WIDTH)
