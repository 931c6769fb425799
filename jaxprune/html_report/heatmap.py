"""Heatmaps as inline SVG in viridis, which grows evenly in lightness for every kind of colour vision."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.html_report.markup import Markup, tag
from jaxprune.html_report.plot import CHARACTER, figure, label, label_width, number, shorten

# Nine points of viridis (Smith and van der Walt, matplotlib; CC0), between which colours are mixed.
_VIRIDIS = (
    (68, 1, 84), (71, 45, 123), (59, 82, 139), (44, 114, 142), (33, 145, 140),
    (40, 174, 128), (94, 201, 98), (173, 220, 48), (253, 231, 37),
)  # fmt: skip
_WIDE = 680  # pixels: wider maps give up the text in their cells, and then scroll
_CELL = (14, 26)  # least height, and that of a cell with text


def colour(share: float) -> str:
    """#rrggbb of a share between 0 (dark blue) and 1 (yellow)."""
    return "#" + "".join(f"{round(channel):02x}" for channel in _mixed(share))


def _mixed(share: float) -> list[float]:
    place = min(max(share, 0.0), 1.0) * (len(_VIRIDIS) - 1)
    first = min(int(place), len(_VIRIDIS) - 2)
    pairs = zip(_VIRIDIS[first], _VIRIDIS[first + 1], strict=True)
    return [low + (high - low) * (place - first) for low, high in pairs]


def _ink(share: float) -> str:
    """Black or white, whichever has the greater contrast on that colour (WCAG's luminance)."""
    linear = [(c / 255 / 12.92 if c < 10 else ((c / 255 + 0.055) / 1.055) ** 2.4)
              for c in _mixed(share)]  # fmt: skip
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000" if luminance > 0.179 else "#fff"


def heatmap(
    values: Float[np.ndarray, "R C"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    x_title: str | None = None,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    show: Callable[[float], str] = number,
) -> Markup:
    """Cells with their values, as far as they have room, and a bar that tells the colours.

    Args:
      values: in the units to be shown; what is not finite is left empty.
      rows, columns: their names.
      title: above the map.
      x_title: what the columns are.
      limits: values of the first and the last colour; the least and the largest by default.
      log: colours follow the logarithm, for positive values.
      show: value → text, in cells, hovers and the bar.
    """
    values = np.asarray(values, np.float64)
    finite = values[np.isfinite(values) & ((values > 0) if log else True)]
    low, high = limits or ((float(finite.min()), float(finite.max())) if finite.size else (0, 1))
    left = label_width(rows)
    cell, text = _cell_width(values, show, left)
    height = _CELL[1] if text else max(_CELL[0], min(cell, _CELL[1]))
    upright = any(CHARACTER * len(shorten(name)) > cell for name in columns)
    # numbers are thinned out, names are turned
    turned = upright and not all(name.isdigit() for name in columns)
    top = label_width(columns) if turned else 20
    drawn = []
    for row, name in enumerate(rows):
        y = top + height * row
        drawn.append(label(left - 6, y + height / 2, shorten(name), "end"))
        for column, value in enumerate(values[row].tolist()):
            if math.isfinite(value) and (value > 0 or not log):
                said = f"{name}, {columns[column]}: {show(value)}"
                share, x = _share(value, low, high, log), left + cell * column
                drawn.append(_cell(x, y, cell, height, share, said, show(value) if text else None))
    drawn += _column_names(columns, left, cell, top, turned)
    bottom = top + height * len(rows)
    width = left + cell * len(columns) + 4
    if x_title:
        drawn.append(label(left + cell * len(columns) / 2, bottom + 12, x_title, "middle", "faint"))
        bottom += 20
    bar, bar_width = _bar(4, bottom + 10, low, high, log, show)
    return figure(title, max(width, bar_width), bottom + 30, *drawn, *bar)


def _cell_width(
    values: np.ndarray, show: Callable[[float], str], left: float
) -> tuple[float, bool]:
    """Width of a cell, and whether its value stands in it."""
    count = values.shape[1]
    finite = values[np.isfinite(values)].tolist()
    longest = max((len(show(value)) for value in finite), default=1)
    wanted = max(CHARACTER * longest + 8, 25)
    if left + wanted * count <= _WIDE:
        return wanted, True
    return max(10.0, (_WIDE - left) // count), False


def _share(value: float, low: float, high: float, log: bool) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.5


def _cell(
    x: float, y: float, width: float, height: float, share: float, said: str, text: str | None
) -> Markup:
    rect = tag("rect", x=x, y=y, width=width - 1, height=height - 1, fill=colour(share))
    middle = x + (width - 1) / 2
    inside = text and tag(
        "text", text, x=middle, y=y + height / 2, dy="0.33em", text_anchor="middle",
        fill=_ink(share),
    )  # fmt: skip
    return tag("g", tag("title", said), rect, inside)


def _column_names(
    columns: Sequence[str], left: float, cell: float, top: float, turned: bool
) -> list[Markup]:
    middles = [left + cell * (column + 0.5) for column in range(len(columns))]
    if turned:
        return [
            tag("text", shorten(name), transform=f"translate({x:.1f} {top - 5:.1f}) rotate(-90)",
                dy="0.35em")
            for x, name in zip(middles, columns, strict=True)
        ]  # fmt: skip
    longest = max((len(name) for name in columns), default=1)
    step = math.ceil((CHARACTER * longest + 4) / cell)
    return [label(middles[c], top - 10, columns[c], "middle") for c in range(0, len(columns), step)]


def _bar(
    x: float, y: float, low: float, high: float, log: bool, show: Callable[[float], str]
) -> tuple[list[Markup], float]:
    """The colours from low to high between their values, and where it ends."""
    first, last = (show(value) for value in (low, high))
    start, steps, step = round(x + CHARACTER * len(first) + 6), 64, 2
    parts = [
        tag("rect", x=start + step * i, y=round(y), width=step, height=12,
            fill=colour(i / (steps - 1)))
        for i in range(steps)
    ]  # fmt: skip
    end = start + step * steps + 6
    note = last + (" (log)" if log else "")
    names = [label(x, y + 6, first, class_="faint"), label(end, y + 6, note, class_="faint")]
    return parts + names, end + CHARACTER * len(note)
