"""The kinds of picture an analysis has. Knows arrays and names; needs matplotlib, and no display.

Languages appear as codes. What a picture has room for is chosen so that its text stays legible: bars
show a few layers, heatmaps by layer come in pages; the tables hold everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxprune.analysis.overlap import largest

BAR_LAYERS = 6  # of a picture of bars
PAGE_INCHES = 13.0  # about, as wide as heatmaps side by side get
COLORS = {"monolingual": "tab:blue", "translation": "tab:orange"}


def is_available() -> bool:
    """Whether matplotlib is installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return False
    return True


def spread(layers: int, most: int) -> list[int]:
    """At most `most` of the layers, the first and the last among them, as evenly as they go."""
    return sorted({round(x) for x in np.linspace(0, layers - 1, min(layers, most))})


def top_bars(
    path: Path, language: str, magnitudes: Mapping[str, Float[np.ndarray, "L D"]], count: int
) -> None:
    """The largest features of some layers, one column of bars for each kind, on one log axis.

    Args:
      magnitudes: kind → root mean squares. Features that are among the `count` largest of all kinds
        are drawn dark, those of one kind alone light.
      count: bars.
    """
    layers = spread(len(next(iter(magnitudes.values()))), BAR_LAYERS)
    figure = _figure(0.6 + 4.6 * len(magnitudes), 0.9 + 1.7 * len(layers))
    grid = figure.subplots(len(layers), len(magnitudes), sharey=True, squeeze=False)
    for row, layer in zip(grid, layers, strict=True):
        tops = {kind: largest(values[layer], count) for kind, values in magnitudes.items()}
        shared = set.intersection(*(set(top.tolist()) for top in tops.values()))
        for axis, (kind, top) in zip(row, tops.items(), strict=True):
            bars = axis.bar(range(len(top)), magnitudes[kind][layer, top], color=COLORS[kind])
            for bar, feature in zip(bars, top, strict=True):
                bar.set_alpha(1.0 if feature in shared else 0.4)
            axis.set_xticks(range(len(top)), top.tolist(), rotation=90, fontsize=7)
            axis.set_yscale("log")
            axis.set_title(f"{kind}, layer {layer}", fontsize=9)
            axis.grid(axis="y", alpha=0.3)
            axis.set_axisbelow(True)
            axis.margins(x=0.02)
    _plain_log(grid[0, 0].yaxis, *grid[0, 0].get_ylim())
    figure.suptitle(f"{language}: the largest features of the blocks' outputs")
    figure.supylabel("root mean square over tokens", fontsize=9)
    pale = "" if len(magnitudes) == 1 else f" (pale: among the {count} largest of one kind only)"
    figure.supxlabel(f"feature{pale}", fontsize=9)
    _save(figure, path)


def set_heatmaps(
    path: Path,
    names: Sequence[str],
    panels: Mapping[str, Float[np.ndarray, "S S"]],
    scales: Sequence[tuple[float, float]],
    title: str,
) -> None:
    """Matrices of shares of every set or run with every other: a panel each, percent in every cell.

    Args:
      names: of the sets, along both axes.
      panels: title → shares; up to `panels_of_page`.
      scales: of each panel, the shares at the ends of its colours.
    """
    columns = min(_panels_across(len(names)), len(panels))
    rows, size = -(-len(panels) // columns), _panel_size(len(names))
    written = max(map(len, names)) * 0.07
    figure = _figure(written + size * columns, 0.7 + (written + size + 0.2) * rows, "compressed")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, (axis, (name, shares)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        low, high = scales[place]
        image = axis.imshow(shares, vmin=low, vmax=high, cmap="viridis")
        axis.set_title(name, fontsize=9)
        axis.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        for (i, j), share in np.ndenumerate(shares):
            color = "black" if image.norm(share) > 0.6 else "white"
            text = axis.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=6)
            text.set(color=color, in_layout=False)  # inside its cell, and there are thousands
        if place + columns >= len(panels):  # nothing below it, though its row may not be the last
            axis.tick_params(labelbottom=True)
    for axis in grid.flat[len(panels) :]:
        axis.set_visible(False)
    figure.suptitle(title, fontsize=10)
    _save(figure, path)


def panels_of_page(names: int) -> int:
    """How many heatmaps of so many names go onto one picture."""
    across = _panels_across(names)
    return across * min(across, 3)


def _panels_across(names: int) -> int:
    return max(1, min(5, int(PAGE_INCHES / _panel_size(names))))


def _panel_size(names: int) -> float:
    return max(2.4, 0.27 * names)  # inches; numbers of two digits need 0.25 a cell


def layer_heatmaps(
    path: Path,
    names: Sequence[str],
    panels: Mapping[str, Float[np.ndarray, "N L"]],
    title: str,
    *,
    rows: str,
    colors: str,
    log: bool = False,
) -> None:
    """Values by layer: a row for each name, a panel for each site or kind, one scale of colours.

    Args:
      names: of the N rows.
      panels: title → values.
      rows, colors: what the rows and the values are, in words.
      log: colours on a log axis that begins at 1; what is not finite is left white.
    """
    from matplotlib.colors import LogNorm, Normalize

    layers = next(iter(panels.values())).shape[1]
    values = np.concatenate([panel.ravel() for panel in panels.values()])
    values = values[np.isfinite(values)]
    high = float(values.max(initial=1.1)) if log else float(values.max())
    norm = LogNorm(1, high, clip=True) if log else Normalize(float(values.min()), high)
    across = len(panels) * max(1.9, 0.09 * layers)
    written = max(map(len, names)) * 0.075
    figure = _figure(1.4 + written + across, 1.3 + 0.18 * max(len(names), 6))
    grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (name, panel) in zip(grid, panels.items(), strict=True):
        shown = np.where(np.isfinite(panel), panel, np.nan)
        image = axis.imshow(
            shown, norm=norm, aspect="auto", cmap="viridis", interpolation="nearest"
        )
        axis.set_title(name, fontsize=10)
        axis.set_yticks(range(len(names)), names, fontsize=7)
        axis.set_xlabel("layer")
        _whole_layers(axis)
    grid[0].set_ylabel(rows)
    bar = figure.colorbar(image, ax=grid, label=colors)
    if log:
        _plain_log(bar.ax.yaxis, 1, high)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def overlap_curves(
    path: Path,
    rows: Mapping[str, Mapping[str, Mapping[str, Float[np.ndarray, " L"]]]],
    chance: Mapping[str, float],
    title: str,
) -> None:
    """Mean overlaps between kinds over the layers: a column a site.

    Args:
      rows: label → site → "<kind> in <kind>" → shares.
      chance: site → share of unrelated sets, drawn dotted.
    """
    figure = _figure(1 + 2.6 * len(chance), 1.1 + 2.3 * len(rows))
    grid = figure.subplots(len(rows), len(chance), sharex=True, sharey="row", squeeze=False)
    for row, (label, sites) in zip(grid, rows.items(), strict=True):
        for axis, (site, pairs) in zip(row, sites.items(), strict=True):
            for pair, shares in pairs.items():
                a, _, b = pair.partition(" in ")
                style = {"ls": "-" if a == b else "--", "color": COLORS[a]}
                axis.plot(100 * shares, marker=".", ms=4, lw=1, label=pair, **style)
            axis.axhline(100 * chance[site], color="gray", ls=":", label="chance")
            axis.grid(alpha=0.3)
        row[0].set_ylim(bottom=0)  # of the whole row, now that it has all its curves
        row[0].set_ylabel(label, fontsize=9)
    for axis, site in zip(grid[0], chance, strict=True):
        axis.set_title(site, fontsize=10)
    for axis in grid[-1]:
        axis.set_xlabel("layer")
        _whole_layers(axis)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def _figure(width: float, height: float, layout: Any = "constrained") -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def _whole_layers(axis: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def _plain_log(axis: Any, low: float, high: float) -> None:
    """Ticks of a log axis as plain numbers: 1, 2, 5, 10, … over a short range, powers of ten over a long one."""
    from matplotlib.ticker import LogLocator, NullLocator

    steps = (1, 2, 5) if high / low < 300 else (1,)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=120, bbox_inches="tight", pad_inches=0.1)
