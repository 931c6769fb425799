"""Pictures of odd analyses; those of a usual one are in test_analysis_analyze.py."""

import warnings

import numpy as np
import pytest
from matplotlib import image

from jaxprune.analysis import pictures, plots
from jaxprune.analysis.analyze import compare_sets
from jaxprune.analysis.mask_overlap import MaskOverlap
from jaxprune.models import SITES
from jaxprune.passes.stats import ActivationStats
from jaxprune.passes.walk import HIDDEN


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
    return ActivationStats(sums, dict.fromkeys(roles, 5), ())


@pytest.mark.parametrize(
    "roles", [["monolingual/en"], ["translation/zh"], ["monolingual/hi", "translation/hi"]]
)
def test_a_single_layer_few_sets_and_dead_features_are_drawn(roles, tmp_path):
    stats = stats_of(roles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures.draw(tmp_path, stats, compare_sets(stats, 0.3), None, target="en", share=0.3)
    assert len(list(tmp_path.iterdir())) == 1 + 5 + 1 + 1 + 1 + 5


def test_layers_that_do_not_fit_one_page_go_onto_more(tmp_path):
    stats = stats_of(["monolingual/en", "translation/zh"], layers=17)
    found = {HIDDEN: compare_sets(stats, 0.3)[HIDDEN]}
    assert plots.panels_of_page(2) == 15
    pictures._heatmaps(tmp_path, ["en", "zh-en"], found, 0.3)
    assert {path.name for path in tmp_path.iterdir()} == {
        "overlap_hidden.png",
        "overlap_layers_00-14.png",
        "overlap_layers_15-16.png",
    }


def test_equal_masks_are_drawn(tmp_path):
    both = np.full((2, 2, 3, 4), 7)
    masks = MaskOverlap(("runs/a", "other/a"), both, np.full((3, 4), 10))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pictures._masks(tmp_path, masks)
    assert image.imread(tmp_path / "masks.png").std() > 0


def test_layers_of_a_picture_are_spread_evenly():
    assert plots.spread(4, 6) == [0, 1, 2, 3]
    assert plots.spread(30, 6) == [0, 6, 12, 17, 23, 29]
    assert plots.spread(1, 6) == [0]
