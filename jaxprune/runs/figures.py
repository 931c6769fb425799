"""Pictures of a pruning run: what was dropped where, and how large the features of each layer were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.errors import InputError
from jaxprune.passes import ActivationStats


def require_matplotlib() -> None:
    """InputError where matplotlib is missing: asked before a run, not after it."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise InputError(
            "output.figures: needs matplotlib; pip install 'jaxprune[plots]'"
        ) from None


def draw(
    folder: Path, kept: Sequence[Mapping[str, tuple[int, int]]], stats: ActivationStats | None
) -> None:
    """Writes sparsity.png and, with statistics, magnitudes.png.

    Args:
      folder: made if it is not there.
      kept: of every layer, kernel path → (kept weights, all weights).
      stats: of the run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _sparsity(folder / "sparsity.png", kept)
    if stats is not None:
        _magnitudes(folder / "magnitudes.png", stats)


def _sparsity(path: Path, kept: Sequence[Mapping[str, tuple[int, int]]]) -> None:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    kernels = list(kept[0])
    share = np.array([[1 - part / whole for part, whole in layer.values()] for layer in kept]).T
    figure, axes = plt.subplots(
        figsize=(3.5 + 0.25 * len(kept), 1.5 + 0.4 * len(kernels)), layout="constrained"
    )
    image = axes.imshow(share, aspect="auto", vmin=0, vmax=1, cmap="viridis")
    axes.set_yticks(range(len(kernels)), [name.removesuffix("/kernel") for name in kernels])
    axes.set(xlabel="layer", title="share of weights dropped")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(image)
    _save(figure, path)


def _magnitudes(path: Path, stats: ActivationStats) -> None:
    """The largest and the median feature of each site on a log axis: the gap is what pruning leans on."""
    import matplotlib.pyplot as plt

    sites = list(dict.fromkeys(site for _, site in stats.sites))
    figure, axes = plt.subplots(
        1, len(sites), figsize=(3.2 * len(sites), 3.2), sharey=True, layout="constrained"
    )
    for axis, site in zip(axes, sites, strict=True):
        for color, role in zip(("tab:blue", "tab:orange"), stats.roles, strict=False):
            norms = stats.norms(role)[site] / np.sqrt(stats.count[role])
            axis.semilogy(norms.max(axis=-1), color=color, label=f"{role}, largest")
            axis.semilogy(np.median(norms, axis=-1), color=color, ls="--", label=f"{role}, median")
        axis.set(title=site, xlabel="layer")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("root mean square over tokens")
    axes[0].legend(fontsize="small")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=150)
    plt.close(figure)
