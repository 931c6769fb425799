"""Charts as inline SVG: dots with intervals, changes around zero, lines over layers, bars.

Data in, HTML out; values are in the units to be shown (percent, not shares). All need style.css, which
`page` brings. What is not finite is not drawn.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.plot import (
    SHAPES,
    WIDTH,
    Scale,
    around,
    figure,
    label,
    label_width,
    legend,
    line,
    marker,
    number,
    shorten,
    vertical_grid,
)

COLOURS = 6  # series of different colours and shapes; more begin again
_AXIS = 38  # pixels below a plot for the ticks and what they are


class Estimate(NamedTuple):
    """A value and, where it has one, its interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclasses.dataclass(frozen=True)
class Series:
    """What one system (a run, a calibration) reaches in each row (language)."""

    name: str
    values: Mapping[str, Estimate]


class Change(NamedTuple):
    """How much better (positive) or worse a row became; `significant` is None where it was not tested."""

    name: str
    difference: float
    low: float
    high: float
    significant: bool | None


class Line(NamedTuple):
    """Values at 0, 1, … of a horizontal axis; colour is a number from 0, as that of a series."""

    name: str
    values: Sequence[float]
    colour: int = 0
    dashed: bool = False


def interval_chart(series: Sequence[Series], *, title: str, unit: str) -> Markup:
    """Rows of dots with whiskers, a colour and shape for each series.

    Args:
      series: rows are shown in the order in which the series name them.
      title: above the chart.
      unit: of the horizontal axis, such as "accuracy, %".
    """
    names = list(dict.fromkeys(name for one in series for name in one.values))
    step = 13
    height = step * len(series) + 10
    left, bottom = label_width(names), height * len(names) + 4
    bounds = [
        bound for one in series for e in one.values.values() for bound in e if bound is not None
    ]
    scale = around(bounds, left + 6, WIDTH - 10)
    drawn = [_stripes(names, height, WIDTH), vertical_grid(scale, 4, bottom, unit)]
    drawn += [label(4, 4 + height * (row + 0.5), shorten(n)) for row, n in enumerate(names)]
    for place, one in enumerate(series):
        for row, name in enumerate(names):
            estimate = one.values.get(name)
            if estimate is not None and math.isfinite(estimate.value):
                y = 4 + height * row + 5 + step * (place + 0.5)
                drawn.append(_dot(scale, y, place, f"{name}, {one.name}", estimate))
    return figure(title, WIDTH, bottom + _AXIS, *drawn, legend=_series_legend(series))


def _dot(scale: Scale, y: float, place: int, name: str, estimate: Estimate) -> Markup:
    value, low, high = estimate
    colour, said = _colour(place), f"{name}: {number(value)}"
    whisker = None
    if low is not None and high is not None and math.isfinite(low) and math.isfinite(high):
        whisker = line(scale(low), y, scale(high), y, f"whisker {colour}")
        said += f" [{number(low)}, {number(high)}]"
    dot = marker(SHAPES[place % COLOURS], scale(value), y, f"mark {colour}")
    return tag("g", tag("title", said), whisker, dot)


def _series_legend(series: Sequence[Series]) -> Markup | None:
    if len(series) < 2:
        return None
    return legend(
        [
            (marker(SHAPES[place % COLOURS], 10, 8, f"mark {_colour(place)}"), one.name)
            for place, one in enumerate(series)
        ]
    )


def _colour(place: int) -> str:
    return f"s{place % COLOURS}"


def _stripes(names: Sequence[str], height: float, width: float) -> Markup:
    return join(
        *(
            tag("rect", x=0, y=4 + row * height, width=width, height=height, class_="stripe")
            for row in range(0, len(names), 2)
        )
    )


_VERDICTS = {
    "better": ("triangle", "better"),
    "worse": ("down", "worse"),
    "unclear": ("circle", "not significant"),
    "untested": ("diamond", "mean"),
}


def verdict(difference: float, significant: bool | None) -> str:
    """better, worse, unclear or untested: also the class of style.css that colours it."""
    if significant is None:
        return "untested"
    if not significant:
        return "unclear"
    return "better" if difference > 0 else "worse"


def verdict_mark(kind: str) -> Markup:
    """The mark of a verdict, around (10, 8), as it stands in the chart's legend."""
    return marker(_VERDICTS[kind][0], 10, 8, f"mark {kind}")


def change_chart(changes: Sequence[Change], *, title: str, unit: str) -> Markup:
    """Rows of differences with whiskers around zero; colour and shape tell whether they are significant.

    Args:
      changes: in the order in which they are shown.
      title: above the chart.
      unit: of the horizontal axis, such as "points, after − before".
    """
    changes = [change for change in changes if all(map(math.isfinite, change[1:4]))]
    names, height = [change.name for change in changes], 36
    left, right, bottom = label_width(names), 48, height * len(names) + 4
    bounds = [0.0, *(bound for change in changes for bound in change[1:4])]
    scale = around(bounds, left + 6, WIDTH - right - 6)
    drawn = [_stripes(names, height, WIDTH), vertical_grid(scale, 4, bottom, unit)]
    drawn.append(line(scale(0), 4, scale(0), bottom, "zero"))
    kinds = [verdict(change.difference, change.significant) for change in changes]
    for row, (change, kind) in enumerate(zip(changes, kinds, strict=True)):
        y, shown = 4 + height * (row + 0.5), signed(change.difference)
        said = f"{change.name}: {shown} [{signed(change.low)}, {signed(change.high)}], "
        drawn += [
            label(4, y, shorten(change.name)),
            tag(
                "g",
                tag("title", said + _VERDICTS[kind][1]),
                line(scale(change.low), y, scale(change.high), y, f"whisker {kind}"),
                marker(_VERDICTS[kind][0], scale(change.difference), y, f"mark {kind}"),
            ),
            label(WIDTH - 4, y, shown, "end", f"value {kind}"),
        ]
    shown_kinds = [kind for kind in _VERDICTS if kind in kinds]
    marks = legend([(verdict_mark(kind), _VERDICTS[kind][1]) for kind in shown_kinds])
    return figure(title, WIDTH, bottom + _AXIS, *drawn, legend=marks)


def signed(value: float) -> str:
    """With its sign and one decimal: +1.2, −0.4, 0.0."""
    shown = f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
    return "0.0" if shown[1:] == "0.0" else shown


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    x_title: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
) -> Markup:
    """Lines over 0, 1, … (layers).

    Args:
      lines: of equal length.
      title: above the chart, with the unit of the vertical axis.
      x_title: of the horizontal axis.
      log: a logarithmic vertical axis; values of 0 or less are not drawn.
      limits: of the vertical axis; around the values by default.
    """
    top, bottom = 8.0, 178.0
    values = [value for one in lines for value in one.values]
    y = Scale(*limits, bottom, top, log) if limits else around(values, bottom, top, log=log)
    ticks = y.ticks()
    left = label_width(map(number, ticks))
    last = max((len(one.values) for one in lines), default=1) - 1
    x = Scale(0, max(last, 1), left + 8, WIDTH - 12)
    layers = range(0, last + 1, math.ceil((last + 1) / 8) or 1)
    drawn = [
        part
        for tick in ticks
        for part in (
            line(left, y(tick), WIDTH - 4, y(tick), "grid"),
            label(left - 5, y(tick), number(tick), "end", "faint"),
        )
    ]
    drawn += [label(x(layer), bottom + 12, str(layer), "middle", "faint") for layer in layers]
    drawn.append(label((left + WIDTH) / 2, bottom + 29, x_title, "middle", "faint"))
    drawn += [_line(one, x, y) for one in lines]
    entries = [(line(1, 8, 19, 8, _stroke(one)), one.name) for one in lines]
    marks = legend(entries) if len(lines) > 1 else None
    return figure(title, WIDTH, bottom + _AXIS, *drawn, legend=marks)


def _stroke(one: Line) -> str:
    return f"curve {_colour(one.colour)}{' dashed' if one.dashed else ''}"


def _line(one: Line, x: Scale, y: Scale) -> Markup:
    """Runs of neighbouring values that can be drawn, and a dot on each value that tells it."""
    points = [
        (place, value)
        for place, value in enumerate(one.values)
        if math.isfinite(value) and (value > 0 or not y.log)
    ]
    path, before = "", None
    for place, value in points:
        path += f"{'L' if before == place - 1 else 'M'}{x(place):.1f} {y(value):.1f}"
        before = place
    dots = [
        tag(
            "circle", tag("title", f"{one.name}, {place}: {number(value)}"),
            cx=x(place), cy=y(value), r=2.5, class_=f"mark {_colour(one.colour)}",
        )
        for place, value in points
    ]  # fmt: skip
    return tag("g", tag("path", d=path or "M0 0", class_=_stroke(one)), *dots)


def bar_chart(bars: Iterable[tuple[str, float]], *, title: str, most: float) -> Markup:
    """Named bars with their values; `most` is what fills the width."""
    shown = [(name, value) for name, value in bars if math.isfinite(value)]
    height, right = 24, 50
    left = label_width(name for name, _ in shown)
    scale = Scale(0, most, left, WIDTH - right)
    drawn = []
    for row, (name, value) in enumerate(shown):
        y, width = height * row + 4, scale(max(value, 0)) - left
        drawn += [
            label(4, y + height / 2, shorten(name)),
            tag("rect", x=left, y=y + 4, width=scale(most) - left, height=16, class_="stripe"),
            tag("rect", x=left, y=y + 4, width=width, height=16, class_="mark s0"),
            label(WIDTH - 4, y + height / 2, f"{value:.1f}", "end", "value"),
        ]
    return figure(title, WIDTH, height * len(shown) + 8, *drawn)
