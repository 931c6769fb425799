"""Sections on the model: dropped weights, magnitudes of features, overlaps of sets and masks."""

from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from jaxprune.analysis.magnitudes import over_median
from jaxprune.analysis.mask_overlap import iou
from jaxprune.analysis.overlap import by_kind, halves_by_kind
from jaxprune.base.text import count, percent, tenths, times
from jaxprune.base.workdir.json_files import Report
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.rows import bar_chart
from jaxprune.report.document import Charts, Folded, Note, Part, Section
from jaxprune.runs.facts import share_of_all
from jaxprune.runs.pages.files import Analysis, Arrays
from jaxprune.runs.plots import magnitude_lines
from jaxprune.stats.stats import ActivationStats

# A cell of a map takes about 200 bytes, and a page should have at most a few megabytes.
_MOST_SETS = 40  # of a map of all pairs
_MOST_PAIRS = 3000  # of the maps of all sites
_ALL = (0.0, 100.0)  # limits of percent


def sparsity_section(report: Report) -> Section:
    """Share of dropped weights overall, by layer and by kernel; `report` is report.json."""
    sparsity, share = report["sparsity"], share_of_all(report)
    layers = [100 * share for share in sparsity["layers"]]
    kernels = {
        name.removesuffix("/kernel"): 100 * share for name, share in sparsity["kernels"].items()
    }
    line, title = Line("dropped", layers), "Dropped by layer, %"
    by_layer = line_chart([line], title=title, y_title="dropped, %", limits=_ALL)
    by_kernel = bar_chart(kernels.items(), title="Dropped by kernel, %", most=100)
    parts = {"layer": (layers, by_layer), "kernel": (kernels.values(), by_kernel)}
    texts = [
        f"{percent(sparsity['overall'])}% of the weights in the blocks' linear kernels were dropped"
    ]
    charts = []
    for part, (shares, chart) in parts.items():
        least, most = f"{tenths(min(shares))}%", f"{tenths(max(shares))}%"
        if least == most:
            texts.append(f"the same in every {part}")
        else:
            texts.append(f"by {part} {least} to {most}")
            charts.append(chart)
    text = f"{', '.join(texts)}."
    allocated = report.get("allocation", {})
    if ignored := allocated.get("ignored"):
        text += f" {len(ignored)} of the kernels were left as they are."
    if measured := allocated.get("measured"):
        line, title = Line("measured", measured), "Measured for the allocation"
        charts.append(line_chart([line], title=title, y_title="measured"))
    if share is not None:
        same = "embeddings" if "pruned" in report else "embeddings, norms, biases"
        text += (
            f" These are {percent(share)}% of all parameters; {same} and the head are unchanged."
        )
    return Section("sparsity", "Sparsity", [text, *_drawn(charts)])


def magnitude_section(stats: ActivationStats | None, analysis: Analysis) -> Section | None:
    """The largest and the median feature by site and layer; also by set if the run has an analysis."""
    parts: list[Part] = []
    if stats is not None:
        text = (
            "Root mean square over tokens of the input features of each linear layer, in the "
            "calibration set: the largest feature and the median one."
        )
        charts = [
            line_chart(lines, title=f"{site}, RMS", y_title="RMS", log=True)
            for site, lines in magnitude_lines(stats).items()
        ]
        parts += [text, Charts(charts)]
    if maps := _set_magnitudes(analysis):
        text = (
            "The largest feature over the median one, by demonstrations and layer, in the dense model. "
            "A large ratio means that a few features dominate."
        )
        parts += [text, *_first_and_others([[Charts([one])] for one in maps])]
    return Section("magnitudes", "Magnitudes of features", parts) if parts else None


def _set_magnitudes(analysis: Analysis) -> list[Chart]:
    """A map of sets and layers for each site, the blocks' outputs ("hidden") first."""
    by_site: dict[str, dict[str, np.ndarray]] = {}
    for name, norms in analysis.magnitudes.items():
        role, _, site = name.rpartition("/")
        by_site.setdefault(site, {})[role] = norms
    maps = []
    draw = partial(heatmap, x_title="layer", unit="largest ÷ median", log=True, show=times)
    for site in _hidden_first(by_site):
        norms_by_set = by_site[site]
        ratio = over_median(np.stack([*norms_by_set.values()])).max(axis=-1)
        layers = [str(layer) for layer in range(ratio.shape[1])]
        maps.append(draw(ratio, list(norms_by_set), layers, title=f"{site}, largest over median"))
    return maps


def _hidden_first(sites: Iterable[str]) -> list[str]:
    return sorted(sites, key=lambda site: site != "hidden")


def _first_and_others(by_site: Sequence[Sequence[Part]]) -> list[Part]:
    """The first site, and the others folded."""
    first, *others = by_site
    rest = [part for parts in others for part in parts]
    return [*first, Folded("other sites", rest)] if rest else [*first]


def _drawn(charts: Sequence[Chart]) -> list[Part]:
    return [Charts(charts)] if charts else []


def overlap_section(analysis: Analysis) -> Section | None:
    """Heatmaps of an analysis: overlap of the largest features of sets, and of the masks of runs."""
    parts: list[Part] = []
    if analysis.overlap:
        parts += _feature_overlap(analysis)
    if analysis.masks:
        runs = [str(name) for name in analysis.masks["runs"]]
        shares = 100 * iou(analysis.masks["both"].sum(axis=(-2, -1)))
        np.fill_diagonal(shares, np.nan)  # a run and itself
        text = "Masks of several runs: intersection over union of the kept weights."
        chart = heatmap(shares, runs, runs, title="IoU of masks, %", show=tenths)
        parts += [text, Charts([chart])]
    return Section("overlap", "Overlap", parts) if parts else None


def _feature_overlap(analysis: Analysis) -> list[Part]:
    sets = [str(name) for name in analysis.overlap["sets"]]
    tops = [name for name in analysis.overlap if name.endswith("/top")]
    sites = _hidden_first(name.removesuffix("/top") for name in tops)
    share = f"{100 * analysis.summary['top']['used']:g}%"
    text = (
        f"Percentage of the {share} largest features of a row's demonstrations that are among the "
        f"{share} largest (or smallest) of a column's; {share} is expected of unrelated sets. "
        "\u201chidden\u201d is the output of a block."
    )
    means = (_kinds(analysis.overlap, sets, sites[0], end) for end in _ENDS)
    parts = [text, *_side_by_side(*means)]
    if len(sets) > _MOST_SETS:
        text = f"The map of all pairs of {len(sets)} sets is too large for the page: see analysis/overlap.npz."
        return [*parts, Note(text)]
    shown = sites if len(sites) * len(sets) ** 2 <= _MOST_PAIRS else sites[:1]
    maps = [[_pairs(analysis.overlap, sets, site, end) for end in _ENDS] for site in shown]
    parts += _first_and_others([_side_by_side(*pair) for pair in maps])
    if len(shown) < len(sites):
        parts.append(Note(f"{', '.join(sites[1:])}: see analysis/overlap.npz."))
    return parts


_ENDS = {"top": "largest in largest", "bottom": "largest in smallest"}


def _side_by_side(*maps: Chart | str) -> list[Part]:
    """Charts in a row, sentences below."""
    charts = [one for one in maps if isinstance(one, Chart)]
    return [*_drawn(charts), *(one for one in maps if isinstance(one, str))]


def _pairs(overlap: Arrays, sets: Sequence[str], site: str, end: str) -> Chart | str:
    """Every set with every other, means over layers."""
    shares = 100 * overlap[f"{site}/{end}"].mean(axis=0)
    np.fill_diagonal(shares, np.nan)  # a set and itself
    return _map(f"{site}, {_ENDS[end]}, % over layers", shares, sets, sets)


def _kinds(overlap: Arrays, sets: Sequence[str], site: str, end: str) -> Chart | str:
    """Means over the pairs of each pair of kinds, and over the sets of each kind between their halves, by layer."""
    shares, kinds = overlap[f"{site}/{end}"], [name.partition("/")[0] for name in sets]
    means = by_kind(shares, kinds) | halves_by_kind(overlap.get(f"{site}/halves_{end}"), kinds)
    layers = [str(layer) for layer in range(len(shares))]
    values = 100 * np.array(list(means.values())).reshape(-1, len(layers))
    return _map(f"{site}, {_ENDS[end]}, % by layer", values, list(means), layers, "layer")


def _map(
    title: str,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    x: str | None = None,
) -> Chart | str:
    """A map of percentages; a sentence if all cells show the same."""
    shown = {count(value) for value in values[np.isfinite(values)].tolist()}
    if len(shown) > 1:
        return heatmap(values, rows, columns, title=title, x_title=x, limits=_ALL, show=count)
    return f"{title}: {' '.join(shown) or 'no value'} in every cell."
