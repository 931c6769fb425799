"""`jaxprune.plot`: statistics, results and shares → charts."""

import functools
from collections.abc import Sequence

import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Float

from jaxprune.base.errors import invalid_value
from jaxprune.base.text import tenths
from jaxprune.models.shares import Shares
from jaxprune.pruning.result import PruneResult
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.heatmap import heatmap
from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.panels import grid
from jaxprune.report.charts.theme import drawable
from jaxprune.stats.stats import ActivationStats

_PANEL = 260  # width of a site, in pixels


@functools.singledispatch
def plot(result: object) -> Chart:
    """A picture of a result, which a notebook shows; `chart.svg()` returns it as text.

    Args:
      result: from `jaxprune.probe`: the largest and the median feature of each site over layers, root mean square over
        tokens; from `jaxprune.prune` or `jaxprune.recover`: the share of dropped weights by layer and kernel; from
        `jaxprune.masks.density` or `overlap`: the share of each layer.

    Raises:
      InputError: another type; statistics without sums of squares.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> jp.plot(jp.probe(model, batches, progress=False))
      <Chart: features of each site, root mean square over tokens>
    """
    raise invalid_value(
        "result", result, "statistics, a result of prune or recover, or shares of masks"
    )


@plot.register
def _(result: ActivationStats) -> Chart:
    by_site = magnitude_lines(result)
    values = [value for lines in by_site.values() for line in lines for value in line.values]
    shown = [value for value in values if drawable(value, log=True)] or [1.0]
    ends = min(shown), max(shown)
    draw = functools.partial(
        line_chart, y_title="RMS over tokens", log=True, limits=ends, width=_PANEL
    )
    panels = [draw(lines, title=site) for site, lines in by_site.items()]
    title = "features of each site, root mean square over tokens"
    return grid(panels, title=title, columns=len(panels))


@plot.register
def _(result: PruneResult) -> Chart:
    masks = flatten_dict(dict(result.masks["blocks"]), sep="/")
    dropped = [1 - np.mean(keep, axis=(-2, -1)) for keep in masks.values()]
    return sparsity_chart(list(masks), np.stack(dropped))


@plot.register
def _(result: Shares) -> Chart:
    layers = Line("share", [100 * share for share in result.layers])
    return line_chart([layers], title="share of the weights by layer", y_title="%")


def magnitude_lines(stats: ActivationStats) -> dict[str, list[Line]]:
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


def sparsity_chart(kernels: Sequence[str], dropped: Float[np.ndarray, "kernels L"]) -> Chart:
    """The share of dropped weights of each kernel by layer, from shares in [0, 1]."""
    names = [name.removesuffix("/kernel") for name in kernels]
    layers = [str(layer) for layer in range(dropped.shape[1])]
    title = "weights dropped, %"
    return heatmap(
        100 * dropped, names, layers, title=title, x_title="layer", y_title="kernel", show=tenths
    )
