"""Sections on the model: what was dropped, how large its features are, how sets and masks overlap."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxprune.analysis import by_kind, iou
from jaxprune.evaluation.comparison import MaskComparison
from jaxprune.html_report.charts import Line, bar_chart, line_chart
from jaxprune.html_report.files import Analysis, RunFiles
from jaxprune.html_report.heatmap import heatmap
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.plain import ABOUT, settings_table
from jaxprune.html_report.plot import charts_row
from jaxprune.passes import ActivationStats
from jaxprune.tables import fraction, percent

_MOST_SETS = 60  # of a map of all pairs: more make a page of many megabytes, which nobody reads
_ALL = (0.0, 100.0)  # limits of percent


def sparsity_section(sparsity: Mapping[str, Any]) -> Section:
    """Share of weights dropped, by layer and by kernel; `sparsity` is that of report.json."""
    layers = [100 * share for share in sparsity["layers"]]
    kernels = [
        (name.removesuffix("/kernel"), 100 * share) for name, share in sparsity["kernels"].items()
    ]
    overall, least, most = (f"{share:.1f}%" for share in
                            (100 * sparsity["overall"], min(layers), max(layers)))  # fmt: skip
    by_layer = "the same in every layer" if least == most else f"by layer {least} to {most}"
    text = f"{overall} of the weights in the blocks' linear kernels were dropped, {by_layer}."
    line = Line("dropped", layers)
    charts = charts_row(
        line_chart([line], title="Dropped by layer, %", x_title="layer", limits=_ALL),
        bar_chart(kernels, title="Dropped by kernel, %", most=100),
    )
    return Section("sparsity", "Sparsity", join(tag("p", text), charts))


def mask_section(masks: MaskComparison) -> Section:
    """How the masks of two runs overlap."""
    text = (
        f"Intersection over union of the kept weights: {fraction(masks.overall)} "
        f"({fraction(masks.independent)} if the masks knew nothing of each other). Kept: before "
        f"{percent(masks.density.a)}%, after {percent(masks.density.b)}%."
    )
    kernels = [
        (path.removeprefix("blocks/").removesuffix("/kernel"), 100 * iou)
        for path, iou in masks.kernels.items()
    ]
    line = Line("IoU", [100 * iou for iou in masks.layers])
    charts = charts_row(
        line_chart([line], title="IoU by layer, %", x_title="layer"),
        bar_chart(kernels, title="IoU by kernel, %", most=100),
    )
    return Section("masks", "Masks before and after", join(tag("p", text), charts))


def magnitude_section(stats: ActivationStats | None, analysis: Analysis) -> Section | None:
    """The largest and the median feature by site and layer; by set, where there is an analysis."""
    parts = []
    if stats is not None:
        text = (
            "Root mean square over tokens of the input features of each linear layer, in the "
            "calibration set: the largest feature and the median one."
        )
        parts += [tag("p", text), charts_row(*_magnitude_charts(stats))]
    if maps := _set_magnitudes(analysis):
        text = (
            "The largest feature over the median one, by demonstrations and layer, in the dense model. "
            "Where this is large, few features carry much."
        )
        parts += [tag("p", text), *_first_and_others(maps, "other sites")]
    return Section("magnitudes", "Magnitudes of features", join(*parts)) if parts else None


def _magnitude_charts(stats: ActivationStats) -> list[Markup]:
    charts = []
    for site in dict.fromkeys(site for _, site in stats.sites):
        lines = []
        for colour, role in enumerate(stats.roles):
            rms = stats.norms(role)[site] / math.sqrt(max(stats.count[role], 1))
            lines += [
                Line(f"{role}, largest", rms.max(axis=-1).tolist(), colour),
                Line(f"{role}, median", np.median(rms, axis=-1).tolist(), colour, dashed=True),
            ]
        charts.append(line_chart(lines, title=f"{site}, RMS", x_title="layer", log=True))
    return charts


def _set_magnitudes(analysis: Analysis) -> dict[str, Markup]:
    """Site → map of sets and layers, what leaves the blocks ("hidden") first."""
    by_site: dict[str, dict[str, np.ndarray]] = {}
    for name, norms in analysis.magnitudes.items():
        role, _, site = name.rpartition("/")
        by_site.setdefault(site, {})[role] = norms
    sites = sorted(by_site, key=lambda site: site != "hidden")
    maps = {}
    for site in sites:
        of = by_site[site]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.stack([norms.max(-1) / np.median(norms, -1) for norms in of.values()])
        layers = [str(layer) for layer in range(ratio.shape[1])]
        maps[site] = heatmap(
            ratio, list(of), layers, title=f"{site}, largest over median",
            x_title="layer", log=True, show=_short,
        )  # fmt: skip
    return maps


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}" if value < 1e5 else f"{value:.0e}"


def _first_and_others(charts: Mapping[str, Markup], title: str) -> list[Markup]:
    """The first chart, and the rest folded away."""
    first, *others = charts.values()
    folded = tag("details", tag("summary", title), charts_row(*others)) if others else None
    return [charts_row(first), *([folded] if folded else [])]


def overlap_section(analysis: Analysis) -> Section | None:
    """Heatmaps of an analysis: largest features of sets against each other, masks of runs."""
    parts: list[Markup] = []
    if "sets" in analysis.overlap:
        parts += _feature_overlap(analysis)
    if {"runs", "both"} <= analysis.masks.keys():
        parts += _mask_overlap(analysis.masks)
    return Section("overlap", "Overlap", join(*parts)) if parts else None


def _feature_overlap(analysis: Analysis) -> list[Markup]:
    sets = [str(name) for name in analysis.overlap["sets"]]
    found = [name.removesuffix("/top") for name in analysis.overlap if name.endswith("/top")]
    sites = sorted(found, key=lambda site: site != "hidden")
    used = (analysis.summary.get("top") or {}).get("used")
    share = f"{100 * used:g}%" if isinstance(used, float | int) else "k%"
    text = (
        f"Of the {share} largest features of the demonstrations of a row, how many percent are among the "
        f"{share} largest (or smallest) of those of a column; unrelated sets would give {share}. "
        "\u201chidden\u201d is what leaves a block."
    )
    parts: list[Markup] = [tag("p", text)]
    by_layer = [_kinds(analysis.overlap, sets, sites[0], end) for end in _ENDS]
    parts.append(charts_row(*by_layer))
    if len(sets) <= _MOST_SETS:
        maps = {site: _pairs(analysis.overlap, sets, site) for site in sites}
        parts += _first_and_others(maps, "other sites")
    else:
        note = f"{len(sets)} sets are too many for a map of their pairs: see analysis/overlap.npz."
        parts.append(tag("p", note, class_="note"))
    return parts


_ENDS = {"top": "largest in largest", "bottom": "largest in smallest"}


def _pairs(overlap: Mapping[str, np.ndarray], sets: Sequence[str], site: str) -> Markup:
    """Both maps of a site, [S, S], means over layers."""
    maps = []
    for end, meaning in _ENDS.items():
        shares = 100 * overlap[f"{site}/{end}"].mean(axis=0)
        np.fill_diagonal(shares, np.nan)  # a set and itself
        title = f"{site}, {meaning}, % over layers"
        maps.append(heatmap(shares, sets, sets, title=title, limits=_ALL, show=_whole))
    return join(*maps)


def _kinds(overlap: Mapping[str, np.ndarray], sets: Sequence[str], site: str, end: str) -> Markup:
    """Means over the pairs of each pair of kinds, by layer."""
    shares = 100 * overlap[f"{site}/{end}"]
    means = by_kind(shares, [name.partition("/")[0] for name in sets])
    layers = [str(layer) for layer in range(len(shares))]
    values = np.array(list(means.values())).reshape(-1, len(layers))
    return heatmap(
        values, list(means), layers, x_title="layer",
        title=f"{site}, {_ENDS[end]}, % by layer", limits=_ALL, show=_whole,
    )  # fmt: skip


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _mask_overlap(masks: Mapping[str, np.ndarray]) -> list[Markup]:
    runs = [str(name) for name in masks["runs"]]
    shares = 100 * iou(masks["both"].sum(axis=(-2, -1)))
    np.fill_diagonal(shares, np.nan)  # a run and itself
    text = "Masks of several runs: intersection over union of the kept weights."
    chart = heatmap(shares, runs, runs, title="IoU of masks, %", show=lambda value: f"{value:.1f}")
    return [tag("p", text), charts_row(chart)]


# Settings.


def settings_section(runs: Mapping[str, RunFiles]) -> Section | None:
    """Config, what report.json tells besides sparsity, how each task was measured; a column for each run."""
    parts: list[Markup | None] = []
    configs = {name: run.config for name, run in runs.items()}
    reports = {
        name: {key: value for key, value in run.report.items() if key != "sparsity"}
        for name, run in runs.items()
    }
    for title, sides in (("Pruning", configs), ("Run", reports)):
        if found := settings_table(sides, title):
            parts += [tag("h3", title), found]
    folded = []
    for task in dict.fromkeys(task for run in runs.values() for task in run.metrics):
        about = {
            name: {key: run.metrics[task][key] for key in ABOUT if key in run.metrics.get(task, {})}
            for name, run in runs.items()
        }
        if found := settings_table(about, task):
            folded.append(tag("details", tag("summary", task), found))
    if folded:
        parts += [tag("h3", "Evaluation"), *folded]
    return Section("settings", "Settings", join(*parts)) if parts else None
