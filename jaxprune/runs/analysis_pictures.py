"""Numbers of an analysis → its pictures, by file name.

Languages appear as codes. To stay legible, bars show a few layers; the tables contain everything. The page of a run
draws the overlaps of sets and of masks.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from jaxprune.analysis.magnitudes import KINDS, over_median
from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.overlap import largest
from jaxprune.analysis.tables import TOP
from jaxprune.base.text import count, tenths, times
from jaxprune.report.charts import Chart, Line, column_chart, grid, heatmap, limits, line_chart
from jaxprune.stats import HIDDEN, ActivationStats

BAR_LAYERS = 6  # in a picture of bars
_CURVE = 200  # width of a language's panel, in pixels
_LOG_ENDS = 1e4  # the largest feature over the lower end of the axis; smaller ones are not drawn
Named = Iterator[tuple[str, Chart]]


def charts(stats: ActivationStats, neurons: LanguageNeurons | None = None) -> Named:
    """The pictures with their file names.

    Args:
      stats: of all sets.
      neurons: of the sets of one language.
    """
    yield from _bars(stats)
    yield from _largest(stats)
    if neurons is not None:
        yield "language_neurons", _neurons(neurons)


# The largest features.


def _bars(stats: ActivationStats) -> Named:
    for language in dict.fromkeys(role.partition("/")[2] for role in stats.roles):
        roles = {kind: f"{kind}/{language}" for kind in KINDS}
        hidden = {k: stats.rms(r)[HIDDEN] for k, r in roles.items() if r in stats.roles}
        yield f"top_{language}", _top_bars(language, hidden)


def spread(layers: int, most: int) -> list[int]:
    """At most `most` layers, evenly spaced, with the first and the last."""
    return sorted({round(x) for x in np.linspace(0, layers - 1, min(layers, most))})


def _top_bars(language: str, magnitudes: Mapping[str, Float[np.ndarray, "L D"]]) -> Chart:
    """The largest features of some layers, a column of panels for each kind, on one log axis.

    Features among the `TOP` largest of all kinds are dark, those of one kind only are pale.
    """
    layers = spread(len(next(iter(magnitudes.values()))), BAR_LAYERS)
    tops = {
        (layer, kind): largest(of[layer], TOP)
        for layer in layers
        for kind, of in magnitudes.items()
    }
    drawn = np.concatenate([magnitudes[kind][layer, top] for (layer, kind), top in tops.items()])
    ends = limits(np.maximum(drawn, drawn.max() / _LOG_ENDS).tolist(), log=True)
    panels = []
    draw = partial(column_chart, x_title="feature", y_title="RMS over tokens", limits=ends)
    for (layer, kind), top in tops.items():
        shared = set.intersection(*(set(tops[layer, other].tolist()) for other in magnitudes))
        columns = [
            (str(feature), float(magnitudes[kind][layer, feature]), feature not in shared)
            for feature in top.tolist()
        ]
        title, colour = f"{kind}, layer {layer}", list(magnitudes).index(kind)
        panels.append(draw(columns, title=title, colour=colour))
    title = f"{language}: largest features of the blocks' outputs, root mean square over tokens"
    if len(magnitudes) > 1:
        title += f"\npale: among the {TOP} largest of one kind only"
    return grid(panels, title=title, columns=len(magnitudes))


def _largest(stats: ActivationStats) -> Named:
    """For each site, the features that are largest in any layer, over the median; a panel for each kind."""
    kinds = np.array([role.partition("/")[0] for role in stats.roles])
    norms = [stats.norms(role) for role in stats.roles]
    for site in norms[0]:
        values = over_median(np.stack([of[site] for of in norms]))
        peaks = values.mean(axis=0).max(axis=0)  # over sets, then layers
        features = np.sort(largest(peaks, TOP))
        title = f"{site}: features that are largest in any layer, over the median feature"
        panels = {k: values[kinds == k].mean(axis=0)[:, features].T for k in dict.fromkeys(kinds)}
        yield f"largest_{site}", _by_layer([str(feature) for feature in features], panels, title)


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


# Language neurons.


def _neurons(found: LanguageNeurons) -> Chart:
    """Numbers by layer, a panel for each language, with whiskers of one standard error if they are known."""
    counts, errors = found.counts, found.counts_error
    highest = counts if errors is None else counts + errors
    _, high = limits(highest[:-1, :-1].ravel().tolist())
    draw = partial(line_chart, y_title="neurons", limits=(0, high), width=_CURVE)
    title = "Language neurons by layer: neurons that a language excites and most others do not\n"
    title += "above each panel: all layers"
    if errors is not None:
        title += "; \N{PLUS-MINUS SIGN} and whiskers: one standard error"
    panels = []
    for place, code in enumerate(found.languages):
        line = Line(code, counts[:-1, place].tolist())
        name = f"{code}: {count(counts[-1, place])}"
        if errors is not None:
            line = line._replace(errors=errors[:-1, place].tolist())
            name += f" \N{PLUS-MINUS SIGN} {tenths(errors[-1, place])}"
        panels.append(draw([line], title=name))
    return grid(panels, title=title, columns=min(len(panels), 5))
