"""Statistics of the features → the picture of their magnitudes."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jaxprune.charts import Chart, Line, grid, limits, line_chart

if TYPE_CHECKING:
    from jaxprune.passes.stats import ActivationStats

_PANEL = 260  # width of a site, in pixels


def magnitude_chart(stats: "ActivationStats") -> Chart:
    """The magnitudes of each site on a log axis; the method relies on the gap of the largest and the median feature."""
    by_site = magnitude_lines(stats)
    values = [value for lines in by_site.values() for line in lines for value in line.values]
    ends = limits(values, log=True)
    draw = partial(line_chart, y_title="RMS over tokens", log=True, limits=ends, width=_PANEL)
    panels = [draw(lines, title=site) for site, lines in by_site.items()]
    title = "features of each site, root mean square over tokens"
    return grid(panels, title=title, columns=len(panels))


def magnitude_lines(stats: "ActivationStats") -> dict[str, list[Line]]:
    """Site → a line over layers of the largest and of the median feature of each role, RMS over tokens."""
    by_site: dict[str, list[Line]] = {}
    for site in dict.fromkeys(site for _, site in stats.sites):
        lines = by_site[site] = []
        for colour, role in enumerate(stats.roles):
            rms = stats.rms(role)[site]
            lines += [
                Line(f"{role}, largest", rms.max(axis=-1).tolist(), colour),
                Line(f"{role}, median", np.median(rms, axis=-1).tolist(), colour, "dashed"),
            ]
    return by_site
