"""Differences with intervals → rows of marks around zero, which tell whether they are significant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.intervals import row_axis, stripes
from jaxprune.charts.scales import limits, ticks
from jaxprune.tables import number, signed

_ROW = 32
_ROW_COLOUR = {"field": "colour", "type": "nominal", "scale": None}


class Change(NamedTuple):
    """How much better (positive) or worse a row became; `significant` is None where it was not tested."""

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
    """How a change is told: in words, as a mark of a chart, as a character, in two colours of the theme."""

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
    """The key of `VERDICTS`, which is the class of style.css too."""
    if significant is None:
        return "untested"
    if not significant:
        return "unclear"
    return "better" if difference > 0 else "worse"


def change_chart(changes: Sequence[Change], *, title: str, unit: str) -> Chart:
    """Rows of differences with whiskers around zero; colour and shape tell whether they are significant.

    Args:
      changes: in the order in which they are shown.
      title: of the chart.
      unit: of the horizontal axis, such as "points, after − before".
    """
    changes = [change for change in changes if all(map(math.isfinite, change[1:4]))]
    names = [change.name for change in changes]
    ends = limits([0.0, *(bound for change in changes for bound in change[1:4])])
    axis = theme.number_axis(ticks(*ends), number, title=unit)
    x = theme.quantitative("difference", ends, axis, zero=False)
    rows = [_row(change) for change in changes]
    layers = [stripes(names), _zero(), _whiskers(rows, names, x), _marks(rows, names, x)]
    layers.append(_values(rows, names))
    view = {"width": theme.WIDTH, "height": _ROW * max(len(names), 1), "layer": layers}
    return Chart(title, view, theme.WIDTH)


def _row(change: Change) -> dict[str, Any]:
    kind, shown = verdict(change.difference, change.significant), signed(change.difference)
    interval = f"[{signed(change.low)}, {signed(change.high)}]"
    word, colour = VERDICTS[kind].word, theme.COLOURS[VERDICTS[kind].stroke]
    said = f"{change.name}: {shown} {interval}, {word}"
    return change._asdict() | {"kind": word, "shown": shown, "said": said, "colour": colour}


def _zero() -> dict[str, Any]:
    mark = {"type": "rule", "color": theme.COLOURS["ink"], "aria": False}
    x = {"field": "difference", "type": "quantitative"}
    return theme.layer("zero", mark, {"x": x}, [{"difference": 0}])


def _by_kind(rows: Sequence[dict[str, Any]], attribute: str, **more: Any) -> dict[str, Any]:
    """Encodes the verdicts that occur by an attribute of theirs."""
    kinds = [v for v in VERDICTS.values() if any(row["kind"] == v.word for row in rows)]
    values = [getattr(kind, attribute) for kind in kinds]
    if attribute != "shape":
        values = [theme.COLOURS[value] for value in values]
    scale = {"domain": [kind.word for kind in kinds], "range": values}
    return {"field": "kind", "type": "nominal", "title": None, "scale": scale, **more}


def _whiskers(rows: list[dict[str, Any]], names: list[str], x: dict[str, Any]) -> dict[str, Any]:
    mark = {"type": "rule", "strokeWidth": 2, "aria": False}
    across = {"x": x | {"field": "low"}, "x2": {"field": "high"}, "y": row_axis(names)}
    return theme.layer("whiskers", mark, across | {"stroke": _ROW_COLOUR}, rows)


def _marks(rows: list[dict[str, Any]], names: list[str], x: dict[str, Any]) -> dict[str, Any]:
    words = [kind.word for kind in VERDICTS.values()]
    legend = theme.legend([word for word in words if any(row["kind"] == word for row in rows)])
    mark = {"type": "point", "size": 72, "opacity": 1, "strokeWidth": 2}
    told = {name: _by_kind(rows, name, legend=legend) for name in ("shape", "fill", "stroke")}
    encoding = {"x": x, "y": row_axis(names), **told, "description": {"field": "said"}}
    return theme.layer("marks", mark, encoding, rows)


def _values(rows: list[dict[str, Any]], names: list[str]) -> dict[str, Any]:
    """The differences in figures, right of the plot."""
    mark = {"type": "text", "align": "right", "dx": 44, "fontWeight": "bold", "aria": False}
    text = {"x": {"value": "width"}, "y": row_axis(names), "text": {"field": "shown"}}
    return theme.layer("values", mark, text | {"fill": _ROW_COLOUR}, rows)
