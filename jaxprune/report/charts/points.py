"""Pairs of numbers → points in a plane, such as size against loss."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxprune.base.text import number
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart

_HEIGHT = 200


class Point(NamedTuple):
    """A point.

    Attributes:
      name: shown on hover, and beside the point if it is marked.
      x, y: its place.
      is_marked: whether it is filled and named.
    """

    name: str
    x: float
    y: float
    is_marked: bool = False


def point_chart(
    points: Sequence[Point],
    *,
    title: str,
    x_title: str,
    y_title: str,
    reference: tuple[str, float] | None = None,
) -> Chart:
    """Points in a plane, on axes that begin at 0.

    Args:
      title: title of the chart.
      x_title, y_title: titles of the axes, with their units.
      reference: name and height of a dashed horizontal line, such as a limit.
    """
    rows = [
        {**point._asdict(), "tooltip": f"{point.name}: {number(point.x)}, {number(point.y)}"}
        for point in points
    ]
    heights = [point.y for point in points] + ([reference[1]] if reference else [])
    ends = (0.0, 1.15 * max(point.x for point in points))
    x = theme.number_axis("x", ends, title=x_title)
    y = theme.number_axis("y", (min(0.0, *heights), 1.1 * max(heights)), title=y_title)
    at, colour = {"x": x, "y": y}, theme.colour(0)
    dot = {"type": "point", "size": 64, "opacity": 1, "strokeWidth": 2, "stroke": colour}
    hollow, filled = ({**dot, "fill": fill} for fill in (theme.COLOURS["paper"], colour))
    marked = [row for row in rows if row["is_marked"]]
    others = [row for row in rows if not row["is_marked"]]
    name = {"type": "text", "dy": -12, "fontWeight": "bold", "fill": colour}
    layers = [
        theme.layer("others", hollow, at | theme.TOOLTIP, others),
        theme.layer("marked", filled, at | theme.TOOLTIP, marked),
        theme.layer("names", name, at | {"text": {"field": "name"}}, marked),
    ]
    if reference:
        line = [{"y": reference[1], "tooltip": f"{reference[0]}: {number(reference[1])}"}]
        dashed = {"type": "rule", "strokeDash": [4, 3], "color": theme.COLOURS["faint"]}
        layers.insert(0, theme.layer("reference", dashed, {"y": y, **theme.TOOLTIP}, line))
    return Chart(title, {"width": theme.WIDTH, "height": _HEIGHT, "layer": layers}, theme.WIDTH)
