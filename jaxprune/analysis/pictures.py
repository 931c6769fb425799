"""Which pictures an analysis has: from its numbers to the arrays and names that `plots` draws."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxprune.analysis import plots
from jaxprune.analysis.magnitudes import KINDS, over_median, rms
from jaxprune.analysis.mask_overlap import MaskOverlap, chance, iou
from jaxprune.analysis.overlap import Overlap, by_kind, largest
from jaxprune.analysis.tables import TOP
from jaxprune.models import SITES
from jaxprune.passes import HIDDEN, ActivationStats


def draw(
    folder: Path,
    stats: ActivationStats,
    overlaps: Mapping[str, Overlap],
    masks: MaskOverlap | None,
    *,
    target: str,
    share: float,
) -> None:
    """Writes all pictures; says so on stderr where matplotlib is missing and there are none.

    Args:
      folder: made if it is not there.
      overlaps: by site, of the sets of `stats`.
      target: of the translations.
      share: that the overlaps are of.
    """
    if not plots.is_available():
        print("no figures: they need matplotlib; pip install 'jaxprune[plots]'", file=sys.stderr)
        return
    folder.mkdir(parents=True, exist_ok=True)
    names = [_label(role, target) for role in stats.roles]
    _bars(folder, stats)
    _heatmaps(folder, names, overlaps, share)
    _curves(folder, stats.roles, overlaps, share)
    _largest(folder, names, stats)
    if masks is not None:
        _masks(folder, masks)


def _label(role: str, target: str) -> str:
    """How a set is called along an axis: fr, or fr-en for the translations into English."""
    kind, _, language = role.partition("/")
    return language if kind == "monolingual" else f"{language}-{target}"


def _bars(folder: Path, stats: ActivationStats) -> None:
    for language in dict.fromkeys(role.partition("/")[2] for role in stats.roles):
        roles = {kind: f"{kind}/{language}" for kind in KINDS}
        hidden = {k: rms(stats, r)[HIDDEN] for k, r in roles.items() if r in stats.roles}
        plots.top_bars(folder / f"top_{language}.png", language, hidden, TOP)


def _heatmaps(
    folder: Path, names: Sequence[str], overlaps: Mapping[str, Overlap], share: float
) -> None:
    """Means over layers of every site; of the blocks' outputs, every layer too, in pages."""
    percent = f"{100 * share:g}%"
    low, high = (f"among the column's {which} {percent}" for which in ("smallest", "largest"))
    for site, overlap in overlaps.items():
        of = f"{site}: % of the row's largest {percent} ({overlap.features} features)"
        unrelated = f"unrelated sets: {100 * overlap.chance:.0f}"
        panels = {low: overlap.bottom.mean(axis=0), high: overlap.top.mean(axis=0)}
        plots.set_heatmaps(
            folder / f"overlap_{site}.png",
            names,
            panels,
            [_scale(shares, overlap.chance) for shares in panels.values()],
            f"{of}\nmean over layers; {unrelated}",
        )
        if site == HIDDEN:
            _pages(folder, names, overlap, f"{of}\n{low}; {unrelated}")


def _pages(folder: Path, names: Sequence[str], overlap: Overlap, title: str) -> None:
    scale = _scale(overlap.bottom, overlap.chance)
    most = plots.panels_of_page(len(names))
    for first in range(0, len(overlap.bottom), most):
        page = overlap.bottom[first : first + most]
        plots.set_heatmaps(
            folder / f"overlap_layers_{first:02d}-{first + len(page) - 1:02d}.png",
            names,
            {f"layer {first + i}": shares for i, shares in enumerate(page)},
            [scale] * len(page),
            title,
        )


def _scale(shares: np.ndarray, chance: float) -> tuple[float, float]:
    """The ends of a colour scale: what there is between different sets, and unrelated ones."""
    seen = np.append(_between(shares), chance)
    return float(seen.min()), float(seen.max())


def _between(shares: np.ndarray) -> np.ndarray:
    """The entries [..., S, S] of different sets."""
    return shares[..., ~np.eye(shares.shape[-1], dtype=bool)]


def _curves(
    folder: Path, roles: Sequence[str], overlaps: Mapping[str, Overlap], share: float
) -> None:
    kinds = [role.partition("/")[0] for role in roles]
    percent = f"{100 * share:g}%"
    plots.overlap_curves(
        folder / "overlap_by_layer.png",
        {
            "among smallest, %": {s: by_kind(o.bottom, kinds) for s, o in overlaps.items()},
            "among largest, %": {s: by_kind(o.top, kinds) for s, o in overlaps.items()},
        },
        {site: overlap.chance for site, overlap in overlaps.items()},
        f"the largest {percent} of one set among the smallest and the largest {percent} of another, "
        "mean over languages",
    )


def _largest(folder: Path, names: Sequence[str], stats: ActivationStats) -> None:
    """How far the largest feature of each set stands out, and which features do, in which layers."""
    norms = [stats.norms(role) for role in stats.roles]
    quotients = {site: over_median(np.stack([n[site] for n in norms])) for site in norms[0]}
    plots.layer_heatmaps(
        folder / "largest_by_layer.png",
        names,
        {site: values.max(axis=-1) for site, values in quotients.items()},
        "the largest feature of each set and layer",
        rows="set", colors="times the median", log=True,
    )  # fmt: skip
    kinds = np.array([role.partition("/")[0] for role in stats.roles])
    for site, values in quotients.items():
        peaks = values.mean(axis=0).max(axis=0)  # over sets, then layers
        features = np.sort(largest(peaks, TOP))
        plots.layer_heatmaps(
            folder / f"largest_{site}.png",
            [str(feature) for feature in features],
            {k: values[kinds == k].mean(axis=0)[:, features].T for k in dict.fromkeys(kinds)},
            f"{site}: the features that stand out most in any layer",
            rows="feature", colors="times the median", log=True,
        )  # fmt: skip


def _masks(folder: Path, masks: MaskOverlap) -> None:
    first, second = np.array(masks.pairs).T
    all_sites = masks.both.sum((-2, -1))
    unrelated = chance(all_sites, masks.size.sum())[first, second].mean()
    title = "weights that both runs keep, % of those that either keeps"
    title += f"; unrelated masks as dense: {100 * unrelated:.0f}"
    panels = {"all sites": iou(all_sites)} | {
        site: iou(masks.both[..., i].sum(-1)) for i, site in enumerate(SITES)
    }
    between = np.concatenate([_between(shares) for shares in panels.values()])
    scale = (float(between.min()) - 0.02, float(between.max()))  # apart where all are equal
    plots.set_heatmaps(folder / "masks.png", masks.runs, panels, [scale] * len(panels), title)
    by_layer = 100 * iou(masks.both)[first, second]  # [pairs, L, site]
    plots.layer_heatmaps(
        folder / "masks_by_layer.png",
        [f"{masks.runs[a]} | {masks.runs[b]}" for a, b in masks.pairs],
        {site: by_layer[..., i] for i, site in enumerate(SITES)},
        title, rows="pair of runs", colors="%",
    )  # fmt: skip
