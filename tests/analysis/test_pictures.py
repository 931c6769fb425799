"""Pictures of an analysis tell its numbers, of odd ones too; files of a usual one are in test_analyze.py."""

import dataclasses
import warnings

import numpy as np
import pytest
from svg import box, drawn, told

from jaxprune.analysis.mask_overlap import MaskOverlap
from jaxprune.analysis.neurons import LanguageNeurons
from jaxprune.analysis.summary import compare_sets
from jaxprune.charts import page_svg, write_png
from jaxprune.models import SITES
from jaxprune.passes.states import HALVES
from jaxprune.passes.stats import ActivationStats
from jaxprune.passes.walk import HIDDEN
from jaxprune.runs import analysis_pictures as pictures


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


def charts_of(stats, masks=None, share=0.3):
    overlaps = compare_sets(stats, share)
    return overlaps, dict(pictures.charts(stats, overlaps, masks, target="en", share=share))


@pytest.mark.parametrize(
    "roles", [["monolingual/en"], ["translation/zh"], ["monolingual/hi", "translation/hi"]]
)
def test_a_single_layer_few_sets_and_dead_features_are_drawn(roles, tmp_path):
    stats = stats_of(roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = charts_of(stats)[1]
        for name, chart in drawn.items():
            write_png(chart, tmp_path / f"{name}.png")
    files = [path.name for path in tmp_path.iterdir()]
    pages = [name for name in files if name.startswith("overlap_layers")]
    assert len(pages) <= 1  # one set has no other to be compared with
    assert len(files) - len(pages) == 1 + 5 + 1 + 1 + 5


def test_cells_tell_the_overlaps_of_every_pair():
    stats = stats_of(["monolingual/en", "translation/zh"], layers=3, features=40)
    overlaps, charts = charts_of(stats)
    for site, overlap in overlaps.items():
        expected = [
            f"{row}, {column}: {100 * shares[i, j]:.0f}"
            for shares in (overlap.bottom.mean(axis=0), overlap.top.mean(axis=0))
            for i, row in enumerate(("en", "zh-en"))
            for j, column in enumerate(("en", "zh-en"))
        ]
        assert told(page_svg(charts[f"overlap_{site}"])) == expected


def test_curves_tell_the_means_by_kind_and_chance():
    stats = stats_of(["monolingual/en", "monolingual/fr", "translation/fr"], layers=4, features=40)
    halves = stats_of([role + half for half in HALVES for role in stats.roles], 4, 40)
    overlaps = compare_sets(stats, 0.3, halves)
    drawing = pictures.charts(stats, overlaps, None, target="en", share=0.3)
    found = told(page_svg(dict(drawing)["overlap_by_layer"]))
    top = overlaps[HIDDEN].top
    within = 100 * (top[:, 0, 1] + top[:, 1, 0]) / 2
    between = 100 * top[:, :2, 2].mean(axis=1)
    last = found[-7 * 4 :]  # the panel of the blocks' outputs
    for name, values in (
        ("monolingual in monolingual", within), ("monolingual in translation", between),
        ("two halves of translation", 100 * overlaps[HIDDEN].halves_top[:, 2]),
        ("chance", [100 * overlaps[HIDDEN].chance] * 4),
    ):  # fmt: skip
        assert {f"{name}, {i}: {value:.4g}" for i, value in enumerate(values)} <= set(last)


def test_bars_are_as_high_as_the_largest_features_and_pale_where_one_kind_has_them():
    stats = stats_of(["monolingual/hi", "translation/hi"], layers=2, features=60)
    _, charts = charts_of(stats)
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
    bars = drawn(page_svg(charts_of(stats)[1]["top_hi"]), "panel0_columns")
    heights = [box(bar)[3] for bar, _, _ in bars]
    assert len(heights) == 20
    assert min(heights) > 2


def test_layers_that_do_not_fit_one_page_go_onto_more():
    stats = stats_of(["monolingual/en", "translation/zh"], layers=17)
    found = {HIDDEN: compare_sets(stats, 0.3)[HIDDEN]}
    rng = np.random.default_rng(0)
    found[HIDDEN] = dataclasses.replace(found[HIDDEN], bottom=rng.random((17, 2, 2)))
    assert pictures.panels_of_page(2) == 15
    names = [name for name, _ in pictures._heatmaps(["en", "zh-en"], found, 0.3)]
    assert names == ["overlap_hidden", "overlap_layers_00-14", "overlap_layers_15-16"]


def test_pages_on_which_all_layers_say_the_same_are_left_out():
    stats = stats_of(["monolingual/en", "translation/zh"], layers=17)
    overlap = compare_sets(stats, 0.3)[HIDDEN]
    bottom = np.zeros((17, 2, 2))
    bottom[16, 0, 1] = 0.5
    found = {HIDDEN: dataclasses.replace(overlap, bottom=bottom)}
    names = [name for name, _ in pictures._heatmaps(["en", "zh-en"], found, 0.3)]
    assert names == ["overlap_hidden", "overlap_layers_15-16"]


def test_equal_masks_are_drawn():
    both = np.full((2, 2, 3, 4), 7)
    masks = MaskOverlap(("runs/a", "other/a"), both, both / 2, np.full((3, 4), 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        charts = dict(pictures._masks(masks))
    found = told(page_svg(charts["masks"]))
    assert set(found) == {
        f"{a}, {b}: 100" for a in ("runs/a", "other/a") for b in ("runs/a", "other/a")
    }
    assert len(found) == 5 * 4
    by_layer = told(page_svg(charts["masks_by_layer"]))
    assert by_layer == [f"runs/a | other/a, {layer}: 100" for layer in range(3)] * 4


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
