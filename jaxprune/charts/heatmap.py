"""A matrix → cells of colours, with their values as far as they have room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.charts.numbers import number
from jaxprune.charts.scales import drawable, even_steps

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
    values: Float[np.ndarray, "R C"],
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
    ends = _ends(values, limits, log, scheme)
    width, height, text = _cell_size(values, show, theme.text_width(rows), cell)
    cells = _cells(values, rows, columns, ends, log, scheme, show)
    encoding = {
        "x": _column_axis(columns, width, x_title),
        "y": {
            "field": "row",
            "type": "nominal",
            "scale": {"domain": list(rows)},
            "axis": theme.name_axis() if row_names else None,
        },
    }
    gaps = {"stroke": theme.COLOURS["paper"], "strokeWidth": 1} if text else {}
    map_ = {
        "name": "cells",
        "mark": {"type": "rect", **gaps},
        "encoding": {
            "color": {
                "field": "value",
                "type": "quantitative",
                "scale": _colours(ends, log, scheme),
                "legend": _legend(ends, log, show, _STEPS[width * len(columns) >= _NARROW]),
            },
            "description": {"field": "said"},
        },
    }
    inks = {"field": "ink", "type": "nominal", "scale": None}
    texts = {
        "name": "texts",
        "mark": {"type": "text", "aria": False},
        "encoding": {"text": {"field": "shown"}, "fill": inks},
    }
    return Chart(
        title,
        {
            "width": width * len(columns),
            "height": height * len(rows),
            "data": {"values": cells},
            "encoding": encoding,
            "layer": [map_, *([texts] if text else [])],
        },
    )


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
    ends: tuple[float, float],
    log: bool,
    scheme: Scheme,
    show: Callable[[float], str],
) -> list[dict[str, Any]]:
    cells = []
    for row, line in zip(rows, values.tolist(), strict=True):
        for column, value in zip(columns, line, strict=True):
            if not drawable(value, log):
                continue
            shown = show(value)
            dark = (
                scheme.dark[0] < _share(value, ends, log) < scheme.dark[1] + (scheme.dark[1] == 1)
            )
            cells.append(
                {
                    "row": row,
                    "column": column,
                    "value": value,
                    "shown": shown,
                    "said": f"{row}, {column}: {shown}",
                    "ink": "black" if dark else "white",
                }
            )
    return cells


def _share(value: float, ends: tuple[float, float], log: bool) -> float:
    """Where between the ends the colour of a value is, from 0 to 1."""
    low, high, value = np.log([*ends, value]) if log else (*ends, value)
    return float(np.clip((value - low) / (high - low), 0, 1)) if high > low else 0.5


def _colours(ends: tuple[float, float], log: bool, scheme: Scheme) -> dict[str, Any]:
    low, high = ends
    if low == high:  # one colour, from the middle of the scheme
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    kind = "log" if log else "linear"
    scale = {"type": kind, "scheme": scheme.name, "domain": [low, high], "clamp": True}
    return scale | {"nice": False, "zero": False}


def _legend(
    ends: tuple[float, float], log: bool, show: Callable[[float], str], steps: int
) -> dict[str, Any]:
    labels = theme.labelled(even_steps(*ends, steps, log=log), show)
    swatches = {"type": "symbol", "symbolType": "square", "symbolSize": 150, "symbolStrokeWidth": 0}
    return labels | swatches | {"orient": "bottom", "direction": "horizontal", "title": None}


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
    return {
        "field": "column",
        "type": "nominal",
        "scale": {"domain": list(columns)},
        "axis": axis,
    }
