"""Several charts → one picture of small multiples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.charts.chart import Chart

# Encodings that a legend may explain; the scales of panels that share a legend have one domain.
_TOLD = ("color", "stroke", "strokeDash", "fill", "shape")


def grid(charts: Sequence[Chart], *, title: str, columns: int, one_legend: bool = True) -> Chart:
    """Charts in rows of `columns`, each under its own title.

    Args:
      charts: of equal size.
      title: of the whole; lines of it end in newlines.
      columns: beside each other.
      one_legend: the charts have the same colours with the same meaning, and one legend tells them.
    """
    panels = [
        {**_panel(chart.view, place), "title": {"text": chart.title, "fontWeight": "normal"}}
        for place, chart in enumerate(charts)
    ]
    resolve = {"scale": dict.fromkeys(_TOLD, "shared" if one_legend else "independent")}
    return Chart(title, {"concat": panels, "columns": columns, "resolve": resolve})


def _panel(value: Any, place: int) -> Any:
    """The view with layers of other names, as those of one name share their data, and legends in one row."""
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
