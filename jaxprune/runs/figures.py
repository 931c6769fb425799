"""Counts and statistics of a run → figures: sparsity by layer and kernel, magnitudes of features."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxprune.charts import Chart, heatmap
from jaxprune.passes import ActivationStats
from jaxprune.tables import tenths


def charts(
    kept: Sequence[Mapping[str, tuple[int, int]]], stats: ActivationStats | None
) -> dict[str, Chart]:
    """By name: "sparsity" if layers or kernels differ, and "magnitudes" if there are statistics.

    Args:
      kept: of every layer, kernel path → (kept weights, all weights).
      stats: of the run.
    """
    shares = np.array([[100 * (1 - part / whole) for part, whole in one.values()] for one in kept])
    drawn = {}
    if len({tenths(share) for share in shares.ravel()}) > 1:  # otherwise one number suffices
        drawn["sparsity"] = _sparsity(list(kept[0]), shares.T)
    if stats is not None:
        drawn["magnitudes"] = stats.plot()
    return drawn


def _sparsity(kernels: Sequence[str], shares: np.ndarray) -> Chart:
    names = [name.removesuffix("/kernel") for name in kernels]
    layers = [str(layer) for layer in range(shares.shape[1])]
    title = "weights dropped, %"
    return heatmap(
        shares, names, layers, title=title, x_title="layer", y_title="kernel", show=tenths
    )
