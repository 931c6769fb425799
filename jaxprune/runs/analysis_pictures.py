"""Numbers of an analysis → its pictures, by file name.

Languages appear as codes. To stay legible, bars show a few layers, and heatmaps by layer are split into pages;
the tables contain everything.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxprune.analysis.magnitudes import KINDS, over_median
from jaxprune.analysis.mask_overlap import MaskOverlap, chance, iou
from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.overlap import Overlap, by_kind, halves_by_kind, largest
from jaxprune.analysis.tables import TOP
from jaxprune.charts import Chart, Line, column_chart, grid, heatmap, limits, line_chart
from jaxprune.models import SITES
from jaxprune.passes import HIDDEN, ActivationStats
from jaxprune.tables import count, tenths, times

BAR_LAYERS = 6  # in a picture of bars
_ACROSS = 1300  # approximate width of heatmaps side by side, in pixels
_CURVE = 200  # width of a site's panel, in pixels
_LOG_ENDS = 1e4  # the largest feature over the lower end of the axis; smaller ones are not drawn
Named = Iterator[tuple[str, Chart]]


def charts(
    stats: ActivationStats,
    overlaps: Mapping[str, Overlap],
    masks: MaskOverlap | None,
    neurons: LanguageNeurons | None = None,
    *,
    target: str,
    share: float,
) -> Named:
    """The pictures with their file names.

    Args:
      stats: of all sets.
      overlaps: by site, of the sets of `stats`.
      masks: of several runs.
      neurons: of the sets of one language.
      target: language of the translations.
      share: of the features that count as largest and as smallest.
    """
    names = [_label(role, target) for role in stats.roles]
    yield from _bars(stats)
    yield from _heatmaps(names, overlaps, share)
    yield "overlap_by_layer", _curves(stats.roles, overlaps, share)
    yield from _largest(names, stats)
    if masks is not None:
        yield from _masks(masks)
    if neurons is not None:
        yield "language_neurons", _neurons(neurons)


def _label(role: str, target: str) -> str:
    """The name of a set along an axis: fr, or fr-en for the translations into English."""
    kind, _, language = role.partition("/")
    return language if kind == "monolingual" else f"{language}-{target}"


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


def _largest(names: Sequence[str], stats: ActivationStats) -> Named:
    """The largest feature of each set over the median, and the features that are largest in any layer."""
    norms = [stats.norms(role) for role in stats.roles]
    quotients = {site: over_median(np.stack([n[site] for n in norms])) for site in norms[0]}
    peaks_by_site = {site: values.max(axis=-1) for site, values in quotients.items()}
    title = "largest feature of each set and layer, over the median feature"
    yield "largest_by_layer", _by_layer(names, peaks_by_site, title, "set")
    kinds = np.array([role.partition("/")[0] for role in stats.roles])
    for site, values in quotients.items():
        peaks = values.mean(axis=0).max(axis=0)  # over sets, then layers
        features = np.sort(largest(peaks, TOP))
        title = f"{site}: features that are largest in any layer, over the median feature"
        by_kinds = {k: values[kinds == k].mean(axis=0)[:, features].T for k in dict.fromkeys(kinds)}
        rows = [str(feature) for feature in features]
        yield f"largest_{site}", _by_layer(rows, by_kinds, title, "feature")


def _by_layer(
    names: Sequence[str],
    panels: Mapping[str, Float[np.ndarray, "N L"]],
    title: str,
    y_title: str,
    *,
    percent: bool = False,
) -> Chart:
    """A row per name, a panel per site or kind, one colour scale: of percentages, or logarithmic of ratios from 1."""
    layers = [str(layer) for layer in range(next(iter(panels.values())).shape[1])]
    values = np.concatenate([panel[np.isfinite(panel)] for panel in panels.values()])
    looks: dict[str, Any] = {"x_title": "layer", "y_title": y_title}
    looks["cell"] = (max(12, 120 // len(layers)), 18)
    if percent:
        looks |= {"unit": "%", "limits": (float(values.min()), float(values.max())), "show": count}
    else:
        ends = (1.0, float(values.max(initial=1.1)))
        looks |= {"unit": "feature ÷ median", "limits": ends, "show": times, "log": True}
    maps = [
        heatmap(panel, names, layers, title=name, row_names=place == 0, **looks)
        for place, (name, panel) in enumerate(panels.items())
    ]
    return grid(maps, title=title, columns=len(maps))


# Overlaps.


def _heatmaps(names: Sequence[str], overlaps: Mapping[str, Overlap], share: float) -> Named:
    """Means over layers for every site, and every layer of the blocks' outputs, in pages."""
    percent = f"{100 * share:g}%"
    low, high = (f"among the column's {which} {percent}" for which in ("smallest", "largest"))
    for site, overlap in overlaps.items():
        of = f"{site}: % of the row's largest {percent} ({overlap.features} features)"
        unrelated = f"unrelated sets: {count(100 * overlap.chance)}%"
        panels = {low: overlap.bottom.mean(axis=0), high: overlap.top.mean(axis=0)}
        scales = [_scale(shares, overlap.chance) for shares in panels.values()]
        title = f"{of}\nmean over layers; {unrelated}"
        yield f"overlap_{site}", _pairs(names, panels, scales, title, "set")
        if site == HIDDEN:
            yield from _pages(names, overlap, f"{of}\n{low}; {unrelated}")


def _pages(names: Sequence[str], overlap: Overlap, title: str) -> Named:
    """Every layer, in pages; pages on which all values are equal are left out."""
    scale = _scale(overlap.bottom, overlap.chance)
    most = panels_of_page(len(names))
    for first in range(0, len(overlap.bottom), most):
        page = overlap.bottom[first : first + most]
        if len({count(100 * share) for share in _between(page).ravel()}) > 1:
            panels = {f"layer {first + i}": shares for i, shares in enumerate(page)}
            name = f"overlap_layers_{first:02d}-{first + len(page) - 1:02d}"
            yield name, _pairs(names, panels, [scale] * len(page), title, "set")


def panels_of_page(names: int) -> int:
    """The number of heatmaps with so many rows that fit one picture."""
    across = _panels_across(names)
    return across * min(across, 3)


def _panels_across(names: int) -> int:
    return max(1, min(5, _ACROSS // max(240, 25 * names + 60)))


def _pairs(
    names: Sequence[str],
    panels: Mapping[str, Float[np.ndarray, "S S"]],
    scales: Sequence[tuple[float, float]],
    title: str,
    axis: str,
) -> Chart:
    """Shares of every set or run with every other, in percent: a panel for each matrix.

    Args:
      names: of the sets or runs, along both axes.
      panels: title → shares; up to `panels_of_page`.
      scales: by panel, the shares of the first and the last colour.
      title: of the picture.
      axis: title of both axes.
    """
    maps = [
        heatmap(
            100 * shares, names, names, title=name, x_title=axis, y_title=axis, unit="%",
            limits=(100 * low, 100 * high), show=count,
        )
        for (name, shares), (low, high) in zip(panels.items(), scales, strict=True)
    ]  # fmt: skip
    across = min(_panels_across(len(names)), len(panels))
    return grid(maps, title=title, columns=across, one_legend=len(set(scales)) == 1)


def _scale(shares: np.ndarray, chance: float) -> tuple[float, float]:
    """The limits of a colour scale: the values of different sets, and that of unrelated ones."""
    seen = np.append(_between(shares), chance)
    return float(seen.min()), float(seen.max())


def _between(shares: np.ndarray) -> np.ndarray:
    """The entries [..., S, S] of different sets."""
    return shares[..., ~np.eye(shares.shape[-1], dtype=bool)]


def _curves(roles: Sequence[str], overlaps: Mapping[str, Overlap], share: float) -> Chart:
    """Mean overlaps of kinds, and of halves of sets, by layer: a column per site; chance is dotted."""
    kinds = [role.partition("/")[0] for role in roles]
    panels = []
    for end, which in (("bottom", "smallest"), ("top", "largest")):
        lines = {site: _lines(overlap, end, kinds) for site, overlap in overlaps.items()}
        _, high = limits([value for of in lines.values() for one in of for value in one.values])
        draw = partial(line_chart, limits=(0, high), width=_CURVE)
        y_title = f"% among the {which}"
        panels += [draw(of, title=site, y_title=y_title) for site, of in lines.items()]
    title = (
        f"the largest {100 * share:g}% of one set among the smallest and the largest {100 * share:g}% of another, "
        "mean over languages"
    )
    return grid(panels, title=title, columns=len(overlaps))


def _lines(overlap: Overlap, end: str, kinds: Sequence[str]) -> list[Line]:
    """Pairs of kinds have the colour of the first and are dashed if the kinds differ; halves have their own colours."""
    shares, halves = getattr(overlap, end), getattr(overlap, f"halves_{end}")
    lines = []
    for pair, means in by_kind(shares, kinds).items():
        first, _, second = pair.partition(" in ")
        dash = "solid" if first == second else "dashed"
        lines.append(Line(pair, (100 * means).tolist(), KINDS.index(first), dash))
    for name, means in halves_by_kind(halves, kinds).items():
        colour = len(KINDS) + KINDS.index(name.rpartition(" ")[2])
        lines.append(Line(name, (100 * means).tolist(), colour))
    return [*lines, Line("chance", [100 * overlap.chance] * len(shares), 5, "dotted")]


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


# Masks.


def _masks(masks: MaskOverlap) -> Named:
    first, second = np.array(masks.pairs).T
    all_sites = masks.both.sum((-2, -1))
    unrelated = chance(all_sites, masks.expected.sum((-2, -1)))[first, second].mean()
    title = "weights that both runs keep, % of those that either keeps"
    title += f"; unrelated masks of these densities: {count(100 * unrelated)}%"
    panels = {"all sites": iou(all_sites)} | {
        site: iou(masks.both[..., i].sum(-1)) for i, site in enumerate(SITES)
    }
    between = np.concatenate([_between(shares) for shares in panels.values()])
    scale = (float(between.min()) - 0.02, float(between.max()))  # apart where all are equal
    yield "masks", _pairs(masks.runs, panels, [scale] * len(panels), title, "run")
    by_layer = 100 * iou(masks.both)[first, second]  # [pairs, L, site]
    names = [f"{masks.runs[a]} | {masks.runs[b]}" for a, b in masks.pairs]
    by_site = {site: by_layer[..., i] for i, site in enumerate(SITES)}
    yield "masks_by_layer", _by_layer(names, by_site, title, "runs", percent=True)
