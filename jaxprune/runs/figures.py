"""Counts and statistics of a run → figures: sparsity by layer and kernel, magnitudes of features."""

from collections.abc import Mapping, Sequence

import numpy as np

from jaxprune.base.text import tenths
from jaxprune.report.charts import Chart
from jaxprune.runs.plots import plot, sparsity_chart
from jaxprune.stats import ActivationStats


def charts(
    kept: Sequence[Mapping[str, tuple[int, int]]], stats: ActivationStats | None
) -> dict[str, Chart]:
    """By name: "sparsity" if layers or kernels differ, and "magnitudes" if there are statistics.

    Args:
      kept: of every layer, kernel path → (kept weights, all weights).
      stats: of the run.
    """
    shares = np.array([[1 - part / whole for part, whole in one.values()] for one in kept])
    drawn = {}
    if len({tenths(100 * share) for share in shares.ravel()}) > 1:  # otherwise one number suffices
        drawn["sparsity"] = sparsity_chart(list(kept[0]), shares.T)
    if stats is not None:
        drawn["magnitudes"] = plot(stats)
    return drawn
