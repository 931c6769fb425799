"""Counts and statistics of a run → figures: sparsity by layer and kernel, magnitudes of features."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxprune.charts import Chart, Line, grid, heatmap, limits, line_chart, write_png
from jaxprune.passes import ActivationStats
from jaxprune.tables import tenths

_PANEL = 260  # pixels of a site's width


def draw(
    folder: Path, kept: Sequence[Mapping[str, tuple[int, int]]], stats: ActivationStats | None
) -> None:
    """Writes sparsity.png if layers or kernels differ, and magnitudes.png if there are statistics.

    Args:
      folder: made if missing.
      kept: of every layer, kernel path → (kept weights, all weights).
      stats: of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, chart in charts(kept, stats).items():
        write_png(chart, folder / f"{name}.png")


def charts(
    kept: Sequence[Mapping[str, tuple[int, int]]], stats: ActivationStats | None
) -> dict[str, Chart]:
    """The figures of `draw` by name."""
    shares = np.array([[100 * (1 - part / whole) for part, whole in one.values()] for one in kept])
    drawn = {}
    if len({tenths(share) for share in shares.ravel()}) > 1:  # otherwise one number suffices
        drawn["sparsity"] = _sparsity(list(kept[0]), shares.T)
    if stats is not None:
        drawn["magnitudes"] = _magnitudes(stats)
    return drawn


def _sparsity(kernels: Sequence[str], shares: np.ndarray) -> Chart:
    names = [name.removesuffix("/kernel") for name in kernels]
    layers = [str(layer) for layer in range(shares.shape[1])]
    title = "weights dropped, %"
    return heatmap(shares, names, layers, title=title, x_title="layer", show=tenths)


def _magnitudes(stats: ActivationStats) -> Chart:
    """Features of each site on a log axis; pruning relies on the gap between the largest and the median."""
    by_site = magnitude_lines(stats)
    values = [value for lines in by_site.values() for line in lines for value in line.values]
    ends = limits(values, log=True)
    panels = [
        line_chart(lines, title=site, x_title="layer", log=True, limits=ends, width=_PANEL)
        for site, lines in by_site.items()
    ]
    title = "features of each site, root mean square over tokens"
    return grid(panels, title=title, columns=len(panels))


def magnitude_lines(stats: ActivationStats) -> dict[str, list[Line]]:
    """Site → a line over layers of the largest and of the median feature of each role, RMS over tokens."""
    by_site: dict[str, list[Line]] = {}
    for site in dict.fromkeys(site for _, site in stats.sites):
        lines = by_site[site] = []
        for colour, role in enumerate(stats.roles):
            rms = stats.norms(role)[site] / math.sqrt(max(stats.count[role], 1))
            lines += [
                Line(f"{role}, largest", rms.max(axis=-1).tolist(), colour),
                Line(f"{role}, median", np.median(rms, axis=-1).tolist(), colour, "dashed"),
            ]
    return by_site
