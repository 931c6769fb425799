"""Several charts → one picture of small multiples."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.report.charts.chart import Chart

# Encodings that a legend may explain; the scales of panels that share a legend have one domain.
_EXPLAINED = ("color", "stroke", "strokeDash", "fill", "shape")


def grid(charts: Sequence[Chart], *, title: str, columns: int, one_legend: bool = True) -> Chart:
    """Charts in rows of `columns`, each with its title above.

    Args:
      charts: charts of equal size.
      title: title of the picture; newlines separate its lines.
      columns: number of charts in a row.
      one_legend: whether colours mean the same in all charts, so that one legend explains them.
    """
    panels = [
        {**_panel(chart.view, place), "title": {"text": chart.title, "fontWeight": "normal"}}
        for place, chart in enumerate(charts)
    ]
    resolve = {"scale": dict.fromkeys(_EXPLAINED, "shared" if one_legend else "independent")}
    return Chart(title, {"concat": panels, "columns": columns, "resolve": resolve})


def _panel(value: Any, place: int) -> Any:
    """The view with unique layer names, as layers of one name share their data, and legends in one row."""
    if isinstance(value, list):
        return [_panel(item, place) for item in value]
    if not isinstance(value, Mapping):
        return value
    panel = {key: item if key == "data" else _panel(item, place) for key, item in value.items()}
    if "layer" in value or "mark" in value:
        panel |= {"name": f"panel{place}_{value['name']}"} if "name" in value else {}
    if "direction" in value:
        panel.pop("columns", None)
    return panel
