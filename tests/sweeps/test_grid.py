"""The grid of a sweep: fields with their values, as a mapping or as text."""

import numpy as np
import pytest

from jaxprune.base.errors import InputError
from jaxprune.cli.config.record import FIELDS
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.steps.planning.checked import by_path, config_of

NANO = {"model": "nano/bloom", "calibration.data": "nano"}


def grid_of(grid):
    return config_of({**NANO, "sweep.grid": grid}, SweepConfig).sweep.grid


def test_text_and_mapping_are_one_grid():
    text = (
        "pruning.criterion=wanda|ria calibration.source=fr|fr,en calibration.draw=none|1/2 "
        "pruning.sparsity=0.3|.5 recovery.how=none|distil seed=0|1"
    )
    expected = {
        "pruning.criterion": ("wanda", "ria"),
        "calibration.source": (("fr",), ("fr", "en")),
        "calibration.draw": (None, "1/2"),
        "pruning.sparsity": (0.3, 0.5),
        "recovery.how": (None, "distil"),
        "seed": (0, 1),
    }
    mapping = {path: list(values) for path, values in expected.items()}
    mapping |= {
        "calibration.source": ["fr", ["fr", "en"]],
        "pruning.sparsity": [0.3, np.float64(0.5)],
    }
    assert grid_of(text) == grid_of(mapping) == expected
    assert [*grid_of(mapping)] == [*mapping]


def test_the_text_in_a_config_gives_the_grid_again():
    grid = {"pruning.sparsity": [0.3, 0.5], "calibration.weights": [None, "fr:2,sw:1"]}
    config = config_of({**NANO, "sweep.grid": grid}, SweepConfig)
    text = config.json()["sweep"]["grid"]
    assert text == "pruning.sparsity=0.3|0.5 calibration.weights=none|fr:2.0,sw:1.0"
    assert grid_of(text) == config.sweep.grid


def test_a_config_file_sets_a_mapping():
    config = base_config()
    config.model, config.sweep.grid = "nano", {"pruning.criterion": ["wanda"]}
    config.sweep.grid["pruning.criterion"].append("ria")
    assert validate(config, "sweep").sweep.grid == {"pruning.criterion": ("wanda", "ria")}
    assert by_path({"sweep": {"grid": {"seed": [1]}}}, FIELDS) == {"sweep.grid": {"seed": [1]}}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (None, r"sweep\.grid: not set; expected \{path of a field"),
        ({}, r"sweep\.grid: got \{\}; expected "),
        ("pruning.criterion", r"sweep\.grid: got 'pruning\.criterion'; expected PATH=VALUE\|VALUE"),
        ("model=a|b", r"grid: got the axis 'model'; expected fields of pruning, quantize, "),
        ("calibration.stats=a", r"grid: got the axis 'calibration\.stats'; expected"),
        ("pruning.sparsty=0.3", r"'pruning\.sparsty'; .* \(did you mean pruning\.sparsity\?\)"),
        ("pruning.sparsity=0.3|x", r"sweep\.grid: pruning\.sparsity: got 'x'; expected "),
        ("pruning.sparsity=0.3|.3", r"sweep\.grid: pruning\.sparsity: 0\.3 is there twice"),
        ("seed=0|none", r"sweep\.grid: seed: got 'none'; expected an integer"),
        ("seed=1 seed=2", r"sweep\.grid: seed is there twice; expected each axis once"),
        ({"seed": 1}, r"sweep\.grid: seed: got 1; expected a list of values"),
        ({"calibration.data": ["a b"]}, "got 'a b'; expected a value without spaces"),
        ("recovery.epochs=1|2", r"axes of recovery without recovery\.how; add recovery\.how=none"),
    ],
)  # fmt: skip
def test_grids_that_are_refused(grid, message):
    with pytest.raises(InputError, match=message):
        grid_of(grid)
