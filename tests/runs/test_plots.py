"""The pictures of statistics and of dropped weights tell their numbers."""

import numpy as np
from known_stats import stats_from_squares
from svg import told

from jaxprune.report.charts.page_svg import page_svg
from jaxprune.runs.plots import plot, sparsity_chart

SITES = (("attention/out/kernel", "attention_out"), ("mlp/out/kernel", "mlp_out"))
NORMS = np.sqrt(np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 9)


def stats():
    sums = {site: np.arange(1, 13, dtype=np.float32).reshape(3, 4) for _, site in SITES}
    return stats_from_squares({"translation": sums}, {"translation": 9}, SITES)


def test_cells_tell_what_was_dropped():
    dropped = np.array([[0.25, 0.25, 0.25], [0.25, 0.25, 0.5]])
    chart = sparsity_chart([path for path, _ in SITES], dropped)
    assert told(page_svg(chart)) == [
        *(f"attention/out, {layer}: 25.0" for layer in range(3)),
        "mlp/out, 0: 25.0", "mlp/out, 1: 25.0", "mlp/out, 2: 50.0",
    ]  # fmt: skip


def test_lines_tell_the_largest_and_the_median_feature():
    found = told(page_svg(plot(stats())))
    largest = [f"translation, largest, {i}: {norm:.4g}" for i, norm in enumerate(NORMS.max(-1))]
    medians = np.median(NORMS, axis=-1)
    median = [f"translation, median, {i}: {norm:.4g}" for i, norm in enumerate(medians)]
    assert found == [*largest, *median] * len(SITES)
