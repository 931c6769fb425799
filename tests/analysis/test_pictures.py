"""Pictures of an analysis tell its numbers, of odd ones too; files of a usual one are in test_analyze.py."""

import warnings

import numpy as np
import pytest
from known_stats import stats_from_squares
from svg import drawn, told

from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.summary import compare_sets
from jaxprune.models.block import SITES
from jaxprune.pages import analysis_pictures as pictures
from jaxprune.report.charts.chart import write_png
from jaxprune.report.charts.page_svg import page_svg
from jaxprune.stats.walk import HIDDEN


def stats_of(roles, layers=1, features=6):
    """Features 0 and 1 are dead everywhere, and more than half of the last layer's."""
    rng = np.random.default_rng(0)
    sums = {
        role: {site: rng.random((layers, features)).astype(np.float32) for site in (*SITES, HIDDEN)}
        for role in roles
    }
    for sites in sums.values():
        for values in sites.values():
            values[:, :2] = 0
            values[-1, : features // 2 + 1] = 0
    return stats_from_squares(sums, dict.fromkeys(roles, 5), ())


def charts_of(stats):
    return dict(pictures.charts(stats, compare_sets(stats, 0.3)))


def test_cells_tell_the_overlap_of_sets_and_kinds():
    stats = stats_of(["monolingual/en", "monolingual/fr", "translation/fr"], layers=3, features=40)
    overlap, drawn = compare_sets(stats, 0.3)[HIDDEN], charts_of(stats)
    roles, kinds = stats.roles, [role.partition("/")[0] for role in stats.roles]
    for end in ("top", "bottom"):
        shares = 100 * getattr(overlap, end)
        cells = told(page_svg(drawn[f"overlap_{HIDDEN}"]))
        for a, b in ((a, b) for a in range(3) for b in range(3) if a != b):
            assert f"{roles[a]}, {roles[b]}: {shares[:, a, b].mean():.0f}" in cells
        cells = told(page_svg(drawn["overlap_by_layer"]))
        for layer in range(3):
            mean = np.mean([shares[layer, a, 2] for a in range(3) if kinds[a] == "monolingual"])
            assert f"monolingual in translation, {layer}: {mean:.0f}" in cells


@pytest.mark.parametrize(
    "roles", [["monolingual/en"], ["translation/zh"], ["monolingual/hi", "translation/hi"]]
)
def test_a_single_layer_few_sets_and_dead_features_are_drawn(roles, tmp_path):
    stats = stats_of(roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = charts_of(stats)
        for name, chart in drawn.items():
            write_png(chart, tmp_path / f"{name}.png")
    assert len([*tmp_path.iterdir()]) == 11


def test_cells_tell_the_largest_features_over_the_median():
    stats = stats_of(["monolingual/en", "translation/zh"], layers=3, features=40)
    told_by_cells = told(page_svg(charts_of(stats)["largest_qkv"]))
    norms = [
        np.sqrt(stats.sum_sq[role]["qkv"][:2]) for role in stats.roles
    ]  # the last layer's median is 0
    ratios = [values / np.median(values, axis=-1, keepdims=True) for values in norms]
    shown = {cell.rpartition(": ")[0] for cell in told_by_cells}
    features = sorted({int(name.partition(",")[0]) for name in shown})
    assert len(features) == 20
    for ratio in ratios:
        for feature in features:
            for layer in range(2):
                value = ratio[layer, feature]
                assert f"{feature}, {layer}: {value:.1f}" in told_by_cells


@pytest.mark.parametrize("errors", [True, False])
def test_language_neurons_tell_their_numbers_and_errors(errors):
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 30, (4, 3))
    error = np.array([[2.0, 1.5, 1.0]] * 4) if errors else None
    empty = np.zeros((3, 5, 2))
    found = LanguageNeurons(
        ("fr", "sw"), empty, None, empty[..., 0], 0.5, empty > 0, counts, error, None, None, None
    )
    svg = page_svg(pictures._neurons(found))
    expected = [
        f"{code}, {layer}: {counts[layer, s]}" + (f" ± {error[layer, s]:.4g}" if errors else "")
        for s, code in enumerate(("fr", "sw"))
        for layer in range(3)
    ]
    assert told(svg) == expected
    whiskers = [line for s in range(2) for line in drawn(svg, f"panel{s}_whiskers")]
    assert len(whiskers) == (6 if errors else 0)
    assert f"fr: {counts[-1, 0]} ± 2.0" in svg if errors else "±" not in svg
