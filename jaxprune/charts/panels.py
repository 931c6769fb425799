"""Several charts → one picture of small multiples."""

from __future__ import annotations

from collections.abc import Sequence

from jaxprune.charts.chart import Chart

# What a legend may tell; the scales of panels that share a legend have one domain.
_TOLD = ("color", "stroke", "strokeDash", "fill")


def grid(charts: Sequence[Chart], *, title: str, columns: int, one_legend: bool = True) -> Chart:
    """Charts in rows of `columns`, each under its own title.

    Args:
      charts: of equal size.
      title: of the whole; lines of it end in newlines.
      columns: beside each other.
      one_legend: the charts have the same colours with the same meaning, and one legend tells them.
    """
    panels = [{**chart.view, "title": chart.title} for chart in charts]
    resolve = {"scale": dict.fromkeys(_TOLD, "shared" if one_legend else "independent")}
    return Chart(title, {"concat": panels, "columns": columns, "resolve": resolve})
