"""Values of every layer → lines."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxprune.base.text import number
from jaxprune.report.charts import theme
from jaxprune.report.charts.chart import Chart

_HEIGHT = 170
# Dashes of even and of odd colours: where two lines coincide, the upper one has gaps that show the lower one.
_DASHES = {"solid": ([1, 0], [10, 6]), "dashed": ([6, 4], [3, 7]), "dotted": ([1, 3], [1, 3])}


class Line(NamedTuple):
    """Values at 0, 1, … of a horizontal axis.

    Attributes:
      name: name in the legend.
      values: values; gaps where the axis cannot show them.
      colour: index of a series' colour.
      dash: solid, dashed or dotted.
      errors: standard errors of the values, drawn as whiskers.
    """

    name: str
    values: Sequence[float]
    colour: int = 0
    dash: str = "solid"
    errors: Sequence[float] | None = None


def lines_of(values: Mapping[str, Sequence[float]]) -> list[Line]:
    """A line for each name; colours repeat after six, with other dashes."""
    dashes = [dash for dash in _DASHES for _ in theme.SHAPES]
    return [
        Line(name, own, i, dashes[i % len(dashes)]) for i, (name, own) in enumerate(values.items())
    ]


def line_chart(
    lines: Sequence[Line],
    *,
    title: str,
    y_title: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    width: int = theme.WIDTH,
) -> Chart:
    """Lines over layers 0, 1, …

    Args:
      lines: lines of equal length.
      title: title of the chart.
      y_title: title of the vertical axis, with its unit.
      log: whether the vertical axis is logarithmic; values of 0 or less are not drawn.
      limits: limits of the vertical axis; by default, the range of the values.
      width: pixels of the whole chart.
    """
    last = max((len(line.values) for line in lines), default=1) - 1
    axis = {"title": "layer", "labelFlush": False, "format": "d", "tickCount": 8, "tickMinStep": 1}
    x = theme.quantitative("place", (0, max(last, 1)), axis, padding=8)
    at = {"x": x, "y": theme.number_axis("value", limits, title=y_title, log=log)}
    names = [line.name for line in lines]
    colours = [theme.colour(line.colour) for line in lines]
    legend = theme.legend(names, width, symbolType="stroke", symbolSize=300)
    stroke = theme.coded("name", names, colours, legend if len(lines) > 1 else None)
    dashes = [_DASHES[line.dash][line.colour % 2] for line in lines]
    dash = theme.coded("name", names, dashes, stroke["legend"])
    rows = [row for line in lines for row in _rows(line, log)]
    drawn = [row for row in rows if row["value"] is not None]
    curve = {"type": "line", "strokeWidth": 2}
    point = {"type": "point", "filled": True, "size": 20, "opacity": 1}
    filled = {"fill": stroke | {"legend": None}}
    layers = [
        theme.layer("curves", curve, at | {"stroke": stroke, "strokeDash": dash}, rows),
        theme.layer("points", point, at | filled | theme.TOOLTIP, drawn),
    ]
    if whiskers := [row for row in drawn if "low" in row]:
        across = at | {"y": at["y"] | {"field": "low"}, "y2": {"field": "high"}}
        rule = {"type": "rule", "strokeWidth": 1, "clip": True}
        layers.append(theme.layer("whiskers", rule, across | {"stroke": filled["fill"]}, whiskers))
    return Chart(title, {"width": width, "height": _HEIGHT, "layer": layers}, width)


def _rows(line: Line, log: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {
            "place": place,
            "name": line.name,
            "value": value if theme.drawable(value, log) else None,
            "tooltip": f"{line.name}, {place}: {number(value)}",
        }
        for place, value in enumerate(map(float, line.values))
    ]
    for row, error in zip(rows, line.errors or (), strict=bool(line.errors)):
        row |= {"low": line.values[row["place"]] - error, "high": line.values[row["place"]] + error}
        row["tooltip"] += f" \N{PLUS-MINUS SIGN} {number(error)}"
    return rows
