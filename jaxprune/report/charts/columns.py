"""Named values → vertical bars on a log axis."""

import math
from collections.abc import Sequence

from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart

_COLUMN = 16  # pixels
_HEIGHT = 130
_PALE = 0.4


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
