"""The pictures of a run: they are drawn from the run's numbers, and matplotlib is asked for early."""

import sys

import numpy as np
import pytest
from matplotlib import image

from jaxprune.errors import InputError
from jaxprune.passes.stats import ActivationStats
from jaxprune.runs.figures import draw, require_matplotlib

SITES = (("attention/out/kernel", "attention_out"), ("mlp/out/kernel", "mlp_out"))


def kept(share):
    return [{path: (int(share * 100), 100) for path, _ in SITES} for _ in range(3)]


def pixels(folder, share, scale):
    sums = {site: scale * np.arange(1, 13, dtype=np.float32).reshape(3, 4) for _, site in SITES}
    draw(folder, kept(share), ActivationStats({"translation": sums}, {"translation": 9}, SITES))
    return [image.imread(folder / name) for name in ("sparsity.png", "magnitudes.png")]


def test_pictures_follow_the_numbers(tmp_path):
    first, again = pixels(tmp_path / "a", 0.5, 1.0), pixels(tmp_path / "b", 0.5, 1.0)
    other = pixels(tmp_path / "c", 0.9, 100.0)
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one, same)
        assert one.shape != different.shape or (one != different).any()


def test_a_run_without_statistics_has_one_picture(tmp_path):
    draw(tmp_path / "figures", kept(0.5), None)
    assert [file.name for file in (tmp_path / "figures").iterdir()] == ["sparsity.png"]


def test_missing_matplotlib_is_said_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"output.figures: needs matplotlib"):
        require_matplotlib()
