"""Numbers of an analysis → its pictures, by file name; languages appear as codes."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from jaxprune.analysis.magnitudes import over_median
from jaxprune.analysis.mask_overlap import MaskOverlap
from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.overlap import Overlap, by_kind, halves_by_kind, largest
from jaxprune.analysis.tables import TOP
from jaxprune.base.text import count, tenths, times
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.panels import grid
from jaxprune.stats.stats import ActivationStats
from jaxprune.stats.walk import HIDDEN

_CURVE = 200  # width of a language's panel, in pixels
NamedCharts = Iterator[tuple[str, Chart]]


def charts(
    stats: ActivationStats,
    overlaps: Mapping[str, Overlap],
    masks: Mapping[tuple[str, str], MaskOverlap] | None = None,
    neurons: LanguageNeurons | None = None,
) -> NamedCharts:
    """The pictures with their file names.

    Args:
      stats: statistics of all sets.
      overlaps: overlaps of the sets of `stats` by site.
      masks: overlaps of the masks of pairs of runs.
      neurons: language neurons from the sets of one language.
    """
    yield from _largest(stats)
    yield from _overlaps(overlaps, stats.roles)
    if masks:
        runs = list(dict.fromkeys(name for pair in masks for name in pair))
        shares = np.full((len(runs), len(runs)), np.nan)
        for (first, second), overlap in masks.items():
            a, b = runs.index(first), runs.index(second)
            shares[a, b] = shares[b, a] = 100 * overlap.overall
        yield "masks", heatmap(shares, runs, runs, title="IoU of masks, %", show=tenths)
    if neurons is not None:
        yield "language_neurons", _neurons(neurons)


def _largest(stats: ActivationStats) -> NamedCharts:
    """For each site, the features that are largest in any layer, over the median; a panel for each kind."""
    kinds = np.array([role.partition("/")[0] for role in stats.roles])
    norms = [stats.norms(role) for role in stats.roles]
    for site in norms[0]:
        values = over_median(np.stack([by_site[site] for by_site in norms]))
        peaks = values.mean(axis=0).max(axis=0)  # over sets, then layers
        features = np.sort(largest(peaks, TOP))
        title = f"{site}: features that are largest in any layer, over the median feature"
        panels = {k: values[kinds == k].mean(axis=0)[:, features].T for k in dict.fromkeys(kinds)}
        yield f"largest_{site}", _by_layer([str(feature) for feature in features], panels, title)


def _overlaps(overlaps: Mapping[str, Overlap], sets: Sequence[str]) -> NamedCharts:
    """Means over layers of every pair of sets at each site; means of the blocks' outputs by kind and layer."""
    draw = partial(heatmap, limits=(0.0, 100.0), show=count)
    ends = {"top": "largest in largest", "bottom": "largest in smallest"}
    for site, overlap in overlaps.items():
        maps = []
        for end, title in ends.items():
            shares = 100 * getattr(overlap, end).mean(axis=0)
            np.fill_diagonal(shares, np.nan)  # a set and itself
            maps.append(draw(shares, sets, sets, title=title))
        yield f"overlap_{site}", grid(maps, title=f"{site}: overlap of sets, %", columns=2)
    kinds, hidden, maps = [name.partition("/")[0] for name in sets], overlaps[HIDDEN], []
    for end, title in ends.items():
        means = by_kind(getattr(hidden, end), kinds)
        means |= halves_by_kind(getattr(hidden, f"halves_{end}"), kinds)
        layers = [str(layer) for layer in range(len(hidden.top))]
        values = 100 * np.array(list(means.values())).reshape(-1, len(layers))
        maps.append(draw(values, list(means), layers, title=title, x_title="layer"))
    yield "overlap_by_layer", grid(maps, title="blocks' outputs: overlap by layer, %", columns=2)


def _by_layer(
    features: Sequence[str], panels: Mapping[str, Float[np.ndarray, "N L"]], title: str
) -> Chart:
    """A row per feature, a panel per kind, one logarithmic colour scale of ratios from 1."""
    layers = [str(layer) for layer in range(next(iter(panels.values())).shape[1])]
    values = np.concatenate([panel[np.isfinite(panel)] for panel in panels.values()])
    draw = partial(
        heatmap, rows=features, columns=layers, x_title="layer", y_title="feature", unit="feature ÷ median",
        limits=(1.0, float(values.max(initial=1.1))), show=times, log=True,
        cell=(max(12, 120 // len(layers)), 18),
    )  # fmt: skip
    maps = [
        draw(panel, title=kind, row_names=place == 0)
        for place, (kind, panel) in enumerate(panels.items())
    ]
    return grid(maps, title=title, columns=len(maps))


def _neurons(neurons: LanguageNeurons) -> Chart:
    """Numbers by layer, a panel for each language, with whiskers of one standard error if they are known."""
    counts, errors = neurons.counts, neurons.counts_error
    highest = counts if errors is None else counts + errors
    limits = (0.0, float(highest[:-1, :-1].max(initial=1)))
    draw = partial(line_chart, y_title="neurons", limits=limits, width=_CURVE)
    title = "Language neurons by layer: neurons that a language excites and most others do not\n"
    title += "above each panel: all layers"
    if errors is not None:
        title += "; \N{PLUS-MINUS SIGN} and whiskers: one standard error"
    panels = []
    for place, code in enumerate(neurons.languages):
        line = Line(code, counts[:-1, place].tolist())
        name = f"{code}: {count(counts[-1, place])}"
        if errors is not None:
            line = line._replace(errors=errors[:-1, place].tolist())
            name += f" \N{PLUS-MINUS SIGN} {tenths(errors[-1, place])}"
        panels.append(draw([line], title=name))
    return grid(panels, title=title, columns=min(len(panels), 5))
