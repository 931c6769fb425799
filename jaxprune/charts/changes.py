"""Differences with intervals → rows of marks around zero that show significance."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.scales import limits
from jaxprune.tables import signed

_ROW = 32
_ROW_COLOUR = {"field": "colour", "type": "nominal", "scale": None}


class Change(NamedTuple):
    """The change of a row: positive is better. `significant` is None if the change was not tested."""

    name: str
    difference: float
    low: float
    high: float
    significant: bool | None


def change_in_points(
    name: str, difference: float, interval: Sequence[float], significant: bool | None
) -> Change:
    """The change of a share, in percentage points."""
    low, high = (100 * bound for bound in interval)
    return Change(name, 100 * difference, low, high, significant)


class Verdict(NamedTuple):
    """The appearance of a change: a word, the shape of its mark, a character, and two colours of the theme."""

    word: str
    shape: str
    glyph: str
    fill: str
    stroke: str


VERDICTS = {
    "better": Verdict("better", "triangle-up", "▲", "better", "better"),
    "worse": Verdict("worse", "triangle-down", "▼", "worse", "worse"),
    "unclear": Verdict("not significant", "circle", "○", "paper", "faint"),
    "untested": Verdict("mean", "diamond", "◆", "ink", "ink"),
}


def verdict(difference: float, significant: bool | None) -> str:
    """The key of `VERDICTS`, which is also a class of style.css."""
    if significant is None:
        return "untested"
    if not significant:
        return "unclear"
    return "better" if difference > 0 else "worse"


def change_chart(changes: Sequence[Change], *, title: str, unit: str) -> Chart:
    """Rows of differences with whiskers around zero; colour and shape show whether they are significant.

    Args:
      changes: in the order shown.
      title: of the chart.
      unit: of the horizontal axis, such as "points, after − before".
    """
    changes = [change for change in changes if all(map(math.isfinite, change[1:4]))]
    rows = [_row(change) for change in changes]
    ends = limits([0.0, *(bound for change in changes for bound in change[1:4])])
    x = theme.number_axis("difference", ends, title=unit)
    y = theme.row_axis([change.name for change in changes])
    across = {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": y, "stroke": _ROW_COLOUR}
    zero = {"x": {"field": "difference", "type": "quantitative"}}
    ink = {"type": "rule", "color": theme.COLOURS["ink"]}
    layers = [
        theme.stripes(y),
        theme.layer("zero", ink, zero, [{"difference": 0}]),
        theme.layer("whiskers", {"type": "rule", "strokeWidth": 2}, across, rows),
        _marks(rows, x, y),
        theme.row_values(y, rows, fill=_ROW_COLOUR),
    ]
    return theme.row_chart(title, layers, _ROW, len(rows))


def _row(change: Change) -> dict[str, Any]:
    kind = VERDICTS[verdict(change.difference, change.significant)]
    shown = signed(change.difference)
    tooltip = f"{change.name}: {shown} [{signed(change.low)}, {signed(change.high)}], {kind.word}"
    looks = {"kind": kind.word, "colour": theme.COLOURS[kind.stroke]}
    return change._asdict() | looks | {"shown": shown, "tooltip": tooltip}


def _marks(rows: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any]) -> dict[str, Any]:
    """The layer of the differences, with a legend of the verdicts that occur."""
    kinds = [v for v in VERDICTS.values() if any(row["kind"] == v.word for row in rows)]
    words = [kind.word for kind in kinds]
    looks = {
        "shape": [kind.shape for kind in kinds],
        "fill": [theme.COLOURS[kind.fill] for kind in kinds],
        "stroke": [theme.COLOURS[kind.stroke] for kind in kinds],
    }
    legend = theme.legend(words)
    channels = {name: theme.coded("kind", words, look, legend) for name, look in looks.items()}
    mark = {"type": "point", "size": 72, "opacity": 1, "strokeWidth": 2}
    return theme.layer("marks", mark, {"x": x, "y": y, **channels, **theme.TOOLTIP}, rows)
