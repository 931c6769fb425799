"""Pictures of an analysis tell its numbers, of odd ones too; files of a usual one are in test_analyze.py."""

import warnings

import numpy as np
import pytest
from svg import box, drawn, told

from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.models import SITES
from jaxprune.report.charts import page_svg, write_png
from jaxprune.runs import analysis_pictures as pictures
from jaxprune.stats.stats import ActivationStats
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
    return ActivationStats.from_squares(sums, dict.fromkeys(roles, 5), ())


def charts_of(stats):
    return dict(pictures.charts(stats))


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
    assert len([*tmp_path.iterdir()]) == 1 + 5


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


def test_bars_are_as_high_as_the_largest_features_and_pale_where_one_kind_has_them():
    stats = stats_of(["monolingual/hi", "translation/hi"], layers=2, features=60)
    charts = charts_of(stats)
    svg = page_svg(charts["top_hi"])
    count = 0
    for panel, role in enumerate(("monolingual/hi", "translation/hi")):
        sums = stats.sum_sq[role][HIDDEN][0]
        other = stats.sum_sq[stats.roles[1 - panel]][HIDDEN][0]
        top, others = (set(np.argsort(-values)[:20].tolist()) for values in (sums, other))
        bars = drawn(svg, rf"panel{panel}_columns")
        opacities = [bar.get("opacity") for bar, _, _ in bars]
        by_size = sorted(top, key=lambda feature: -sums[feature])
        assert opacities == [None if feature in others else "0.4" for feature in by_size]
        count += len(bars)
    assert count == 40


def test_bars_are_seen_where_later_layers_are_thousands_of_times_larger():
    """As in Gemma 3 270M, whose 20th feature of layer 0 is the first of layer 17 over 6,000."""
    stats = stats_of(["monolingual/hi"], layers=3, features=60)
    stats.sum_sq["monolingual/hi"][HIDDEN][:, 2:] += 1
    stats.sum_sq["monolingual/hi"][HIDDEN][1, 59] = 3000**2
    bars = drawn(page_svg(charts_of(stats)["top_hi"]), "panel0_columns")
    heights = [box(bar)[3] for bar, _, _ in bars]
    assert len(heights) == 20
    assert min(heights) > 2


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


def test_layers_of_a_picture_are_spread_evenly():
    assert pictures.spread(4, 6) == [0, 1, 2, 3]
    assert pictures.spread(30, 6) == [0, 6, 12, 17, 23, 29]
    assert pictures.spread(1, 6) == [0]
