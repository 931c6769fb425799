"""Named values → horizontal bars with their values, or vertical bars on a log axis."""

import math
from collections.abc import Iterable, Sequence

from jaxprune.charts import theme
from jaxprune.charts.chart import Chart
from jaxprune.tables import tenths

_COLUMN = 16  # pixels
_HEIGHT = 130
_PALE = 0.4


def bar_chart(bars: Iterable[tuple[str, float]], *, title: str, most: float) -> Chart:
    """Horizontal bars with their values; a bar of `most` fills the width."""
    rows = [
        {"name": name, "value": max(value, 0.0), "shown": tenths(value), "all": most}
        for name, value in bars
        if math.isfinite(value)
    ]
    x = theme.quantitative("value", (0, most), None)
    y = theme.row_axis([str(row["name"]) for row in rows])
    bar = {"type": "bar", "height": 16}
    whole = bar | {"color": theme.COLOURS["wash"]}
    layers = [
        theme.layer("whole", whole, {"x": x | {"field": "all"}, "y": y}, rows),
        theme.layer("bars", bar | {"color": theme.colour(0)}, {"x": x, "y": y}, rows),
        theme.row_values(y, rows),
    ]
    return theme.row_chart(title, layers, theme.ROW, len(rows))


def column_chart(
    columns: Sequence[tuple[str, float, bool]],
    *,
    title: str,
    x_title: str,
    y_title: str,
    limits: tuple[float, float],
    colour: int = 0,
) -> Chart:
    """Vertical bars on a log axis.

    Args:
      columns: (name, value, whether it is pale), in the order shown; names are unique.
      title: of the chart.
      x_title: of the horizontal axis.
      y_title: of the vertical axis, with its unit.
      limits: of the vertical axis; bars start at the first.
      colour: index of the series' colour.
    """
    low, _ = limits
    rows = [
        {"name": name, "value": value, "low": low, "opacity": _PALE if pale else 1.0}
        for name, value, pale in columns
        if math.isfinite(value) and value > low
    ]
    names = theme.name_axis(x_title, labelAngle=-90, labelColor=theme.COLOURS["faint"])
    encoding = {
        "x": theme.nominal("name", [name for name, *_ in columns], names, padding=0.1),
        "y": theme.number_axis("value", limits, title=y_title, log=True),
        "y2": {"field": "low"},
        "opacity": {"field": "opacity", "type": "quantitative", "scale": None, "legend": None},
    }
    bars = theme.layer("columns", {"type": "bar", "color": theme.colour(colour)}, encoding, rows)
    size = {"width": _COLUMN * len(columns), "height": _HEIGHT}
    return Chart(title, {**size, "layer": [bars]})
