"""A matrix → coloured cells, with their values if they fit."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from jaxprune.base.text import number
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart

_WIDE = 680  # pixels: wider maps have no text in their cells, and pages scroll them
_CELL = (14, 24)  # pixels: least height, and the height of a cell with text
_STEPS = (3, 5)  # colours in the legend of a map narrower than _NARROW, and of a wider one
_NARROW = 180


class Scheme(NamedTuple):
    """A colour scheme of Vega; `dark` is the part of its range on which black text has the higher contrast."""

    name: str
    dark: tuple[float, float]


# Perceptually uniform, also with colour-vision deficiencies.
SEQUENTIAL = Scheme("viridis", (0.431, 1.0))
# For changes: pink is worse, white is unchanged, green is better.
DIVERGING = Scheme("pinkyellowgreen", (0.132, 0.927))


def heatmap(
    values: Shaped[np.ndarray, "R C"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    x_title: str | None = None,
    y_title: str | None = None,
    unit: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    scheme: Scheme = SEQUENTIAL,
    show: Callable[[float], str] = number,
    cell: tuple[int, int] | None = None,
    row_names: bool = True,
) -> Chart:
    """Coloured cells, with their values if they fit, and a legend of the colours.

    Args:
      values: values in the units shown; cells without a finite value are empty.
      rows, columns: unique names.
      title: title of the map.
      x_title, y_title: titles of the axes.
      unit: title of the legend.
      limits: values of the first and the last colour; values beyond them are clamped. By default the
        smallest and the largest value.
      log: whether the colour scale is logarithmic; only positive values are drawn.
      scheme: colour scheme; `DIVERGING` makes the limits symmetric around 0.
      show: value → text, in cells, titles and the legend.
      cell: width and height in pixels of cells without text; by default, the size follows from the values.
      row_names: whether the rows have an axis.
    """
    values = np.asarray(values, np.float64)
    low, high = _ends(values, limits, log, scheme)
    width, height, has_text = _cell_size(values, show, theme.text_width(rows), cell)
    size = {"width": width * len(columns), "height": height * len(rows)}
    count = _STEPS[size["width"] >= _NARROW] if low < high else 1
    steps = (np.geomspace if log else np.linspace)(low, high, count).tolist()
    legend = {
        **{"orient": "bottom", "direction": "horizontal", "title": theme.scale_title(unit, log)},
        **{"type": "symbol", "symbolType": "square", "symbolSize": 150, "symbolStrokeWidth": 0},
        **{"values": steps, "format": theme.FORMAT},
    }
    if low == high:  # one colour, from the middle of the scheme
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    kind = {"type": "log" if log else "linear", "scheme": scheme.name, "clamp": True}
    colour = theme.quantitative("value", (low, high), None, **kind) | {"legend": legend}
    at = {
        "x": _column_axis(columns, width, x_title),
        "y": theme.nominal("row", rows, theme.name_axis(y_title) if row_names else None),
    }
    cells = [
        {
            "row": row,
            "column": column,
            "value": value,
            "shown": show(value),
            "tooltip": f"{row}, {column}: {show(value)}",
            "ink": _ink(value, (low, high), log, scheme),
        }
        for row, line in zip(rows, values.tolist(), strict=True)
        for column, value in zip(columns, line, strict=True)
        if theme.drawable(value, log)
    ]
    gaps = {"stroke": theme.COLOURS["paper"], "strokeWidth": 1} if has_text else {}
    coloured = {"color": colour, **theme.TOOLTIP}
    layers = [theme.layer("cells", {"type": "rect", **gaps}, coloured, cells)]
    if has_text:
        text = {"text": {"field": "shown"}, "fill": theme.literal("ink")}
        layers.append(theme.layer("texts", {"type": "text"}, text, cells))
    return Chart(title, {**size, "encoding": at, "layer": layers})


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
    """Width and height of a cell, and whether it contains its value."""
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


def _ink(value: float, ends: tuple[float, float], log: bool, scheme: Scheme) -> str:
    """The text colour with the higher contrast on the colour of a value."""
    place, *places = np.log([value, *ends]) if log else (value, *ends)
    low, high = scheme.dark
    return "black" if low < np.interp(place, places, (0, 1)) <= high else "white"


def _column_axis(columns: Sequence[str], width: int, title: str | None) -> dict[str, Any]:
    """The axis of the columns: long names are rotated; of many numbers only some are shown."""
    numbered = all(name.isdigit() for name in columns)
    turned = not numbered and any(theme.CHARACTER * len(name) > width - 4 for name in columns)
    axis = theme.name_axis(
        title, orient="bottom" if title else "top", labelAngle=-90 if turned else 0
    )
    if numbered:
        longest = max((len(name) for name in columns), default=1)
        step = -(-int(theme.CHARACTER * longest + 8) // width)
        axis["values"] = list(columns)[::step]
    return theme.nominal("column", columns, axis)
