"""The pictures of a run tell its numbers."""

import numpy as np
from svg import told

from jaxprune.report.charts import page_svg
from jaxprune.runs.figures import charts
from jaxprune.stats.stats import ActivationStats

SITES = (("attention/out/kernel", "attention_out"), ("mlp/out/kernel", "mlp_out"))
NORMS = np.sqrt(np.arange(1, 13, dtype=np.float32).reshape(3, 4) / 9)


def kept(share, last=None):
    """Of three layers; the last kernel of the last one may differ."""
    layers = [{path: (round(share * 100), 100) for path, _ in SITES} for _ in range(3)]
    if last is not None:
        layers[-1]["mlp/out/kernel"] = (round(last * 100), 100)
    return layers


def stats():
    sums = {site: np.arange(1, 13, dtype=np.float32).reshape(3, 4) for _, site in SITES}
    return ActivationStats.from_squares({"translation": sums}, {"translation": 9}, SITES)


def test_cells_tell_what_was_dropped():
    [chart] = charts(kept(0.75, last=0.5), None).values()
    assert told(page_svg(chart)) == [
        *(f"attention/out, {layer}: 25.0" for layer in range(3)),
        "mlp/out, 0: 25.0", "mlp/out, 1: 25.0", "mlp/out, 2: 50.0",
    ]  # fmt: skip


def test_lines_tell_the_largest_and_the_median_feature():
    found = told(page_svg(charts(kept(0.5), stats())["magnitudes"]))
    largest = [f"translation, largest, {i}: {norm:.4g}" for i, norm in enumerate(NORMS.max(-1))]
    medians = np.median(NORMS, axis=-1)
    median = [f"translation, median, {i}: {norm:.4g}" for i, norm in enumerate(medians)]
    assert found == [*largest, *median] * len(SITES)


def test_what_is_the_same_everywhere_has_no_picture():
    assert not charts(kept(0.5), None)
    assert charts(kept(0.5, last=0.6), None).keys() == {"sparsity"}
    assert charts(kept(0.5, last=0.6), stats()).keys() == {"sparsity", "magnitudes"}
