"""A matrix → cells of colours, with their values as far as they have room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.scales import drawable, even_steps
from jaxprune.tables import number

_WIDE = 680  # pixels: wider maps give up the text in their cells, and then scroll
_CELL = (14, 24)  # least height, and that of a cell with text
_STEPS = (3, 5)  # colours that the legend of a map narrower and wider than so many pixels tells
_NARROW = 180


class Scheme(NamedTuple):
    """A colour scheme of Vega; between the shares `dark` of its range black is the more legible ink."""

    name: str
    dark: tuple[float, float]


# Grows evenly in lightness for every kind of colour vision.
SEQUENTIAL = Scheme("viridis", (0.431, 1.0))
# Of changes: pink is worse, white is none, green is better.
DIVERGING = Scheme("pinkyellowgreen", (0.132, 0.927))


def heatmap(
    values: Shaped[np.ndarray, "R C"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    x_title: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    scheme: Scheme = SEQUENTIAL,
    show: Callable[[float], str] = number,
    cell: tuple[int, int] | None = None,
    row_names: bool = True,
) -> Chart:
    """Cells with their values, as far as they have room, and a legend that tells the colours.

    Args:
      values: in the units to be shown; what is not finite is left empty.
      rows, columns: their names, unique.
      title: of the map.
      x_title: what the columns are.
      limits: values of the first and the last colour, which those beyond get too; the least and the
        largest value by default.
      log: colours follow the logarithm, for positive values.
      scheme: of the colours. With `DIVERGING` the limits are made symmetric around 0.
      show: value → text, in cells, titles and the legend.
      cell: width and height in pixels of cells without text; by default as there is room.
      row_names: whether the rows have an axis.
    """
    values = np.asarray(values, np.float64)
    colours = _Colours(*_ends(values, limits, log, scheme), log, scheme)
    width, height, has_text = _cell_size(values, show, theme.text_width(rows), cell)
    size = {"width": width * len(columns), "height": height * len(rows)}
    legend = _legend(colours, show, _STEPS[size["width"] >= _NARROW])
    cells = _cells(values, rows, columns, colours, show)
    y = theme.nominal("row", rows, theme.name_axis() if row_names else None)
    encoding = {"x": _column_axis(columns, width, x_title), "y": y}
    layers = [_rectangles(colours, legend, gaps=has_text), *([_texts()] if has_text else [])]
    view = {**size, "data": {"values": cells}, "encoding": encoding, "layer": layers}
    return Chart(title, view)


class _Colours(NamedTuple):
    """The scale of colours of a map: its ends, linear or logarithmic, and the scheme."""

    low: float
    high: float
    log: bool
    scheme: Scheme


def _ends(
    values: np.ndarray, limits: tuple[float, float] | None, log: bool, scheme: Scheme
) -> tuple[float, float]:
    shown = values[np.isfinite(values) & ((values > 0) if log else True)]
    low, high = limits or ((float(shown.min()), float(shown.max())) if shown.size else (1.0, 1.0))
    if scheme is DIVERGING:
        far = max(abs(low), abs(high)) or 1.0
        return -far, far
    return low, high


def _cell_size(
    values: np.ndarray, show: Callable[[float], str], left: float, cell: tuple[int, int] | None
) -> tuple[int, int, bool]:
    """Width and height of a cell, and whether its value stands in it."""
    if cell:
        return *cell, False
    count = values.shape[1]
    finite = values[np.isfinite(values)].tolist()
    longest = max((len(show(value)) for value in finite), default=1)
    needed = max(round(7 * longest + 8), 25)
    if left + needed * count <= _WIDE:
        return needed, _CELL[1], True
    width = max(10, int((_WIDE - left) / count))
    return width, max(_CELL[0], min(width, _CELL[1])), False


def _cells(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    colours: _Colours,
    show: Callable[[float], str],
) -> list[dict[str, Any]]:
    cells = []
    for row, line in zip(rows, values.tolist(), strict=True):
        for column, value in zip(columns, line, strict=True):
            if drawable(value, colours.log):
                shown = show(value)
                cell = {"row": row, "column": column, "value": value, "shown": shown}
                said = f"{row}, {column}: {shown}"
                cells.append({**cell, "said": said, "ink": _ink(value, colours)})
    return cells


def _ink(value: float, colours: _Colours) -> str:
    """The more legible ink on the colour of a value."""
    low, high = colours.scheme.dark
    share = _share(value, colours)
    return "black" if low < share and (share < high or high == 1) else "white"


def _share(value: float, colours: _Colours) -> float:
    """The place of a value's colour between the ends, from 0 to 1."""
    low, high, _, _ = colours
    if colours.log:
        low, high, value = np.log([low, high, value])
    return float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.5


def _rectangles(colours: _Colours, legend: dict[str, Any], *, gaps: bool) -> dict[str, Any]:
    """The layer of the cells, white lines between them where they have gaps."""
    mark: dict[str, Any] = {"type": "rect"}
    if gaps:
        mark |= {"stroke": theme.COLOURS["paper"], "strokeWidth": 1}
    colour = {"field": "value", "type": "quantitative", "scale": _scale(colours), "legend": legend}
    return theme.layer("cells", mark, {"color": colour, "description": {"field": "said"}})


def _texts() -> dict[str, Any]:
    """The layer of the values in the cells."""
    ink = {"field": "ink", "type": "nominal", "scale": None}
    encoding = {"text": {"field": "shown"}, "fill": ink}
    return theme.layer("texts", {"type": "text", "aria": False}, encoding)


def _scale(colours: _Colours) -> dict[str, Any]:
    low, high, log, scheme = colours
    if low == high:  # one colour, from the middle of the scheme
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    kind = "log" if log else "linear"
    scale = {"type": kind, "scheme": scheme.name, "domain": [low, high], "clamp": True}
    return scale | {"nice": False, "zero": False}


def _legend(colours: _Colours, show: Callable[[float], str], steps: int) -> dict[str, Any]:
    values = even_steps(colours.low, colours.high, steps, log=colours.log)
    swatches = {"type": "symbol", "symbolType": "square", "symbolSize": 150, "symbolStrokeWidth": 0}
    place = {"orient": "bottom", "direction": "horizontal", "title": None}
    return theme.labelled(values, show) | swatches | place


def _column_axis(columns: Sequence[str], width: int, title: str | None) -> dict[str, Any]:
    """Names of the columns, turned where they are long; numbers are thinned out instead."""
    numbered = all(name.isdigit() for name in columns)
    turned = not numbered and any(theme.CHARACTER * len(name) > width - 4 for name in columns)
    axis = theme.name_axis(
        title=title, orient="bottom" if title else "top", labelAngle=-90 if turned else 0
    )
    if numbered:
        longest = max((len(name) for name in columns), default=1)
        step = -(-int(theme.CHARACTER * longest + 8) // width)
        axis["values"] = list(columns)[::step]
    return theme.nominal("column", columns, axis)
