"""Three models of the study, made again from nothing: `pytest -m again`, about 20 minutes on two cores.

Runs where JAXPRUNE_MODELS names a folder that holds gemma3-270m/ and qwen2.5-coder-0.5b/, and JAXPRUNE_DATA one with
the sources of studies/study/make_data.py.
"""

import json
import os
import random
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import study
from again import DATA, FOLDERS, MARKS
from study_scores import MODELS, of_run

import jaxprune as jp
from jaxprune.cli.config.validate import validate
from jaxprune.search.sweeps.runner import Runner

ROOT = Path(__file__).parents[1]
SEED, COUNT = 0, 3
MADE = [
    (part, name)
    for part, models in json.loads(MODELS.read_text("utf-8")).items()
    for name in models
]
pytestmark = MARKS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "data"
    subprocess.run([sys.executable, ROOT / "studies/study/make_data.py", DATA, out], check=True)
    return out


@pytest.mark.parametrize(("part", "name"), random.Random(SEED).sample(MADE, min(COUNT, len(MADE))))
def test_a_model_of_the_study_has_the_committed_scores(part, name, data, tmp_path):
    folder = Path(FOLDERS, "qwen2.5-coder-0.5b" if part == study.CODER else "gemma3-270m")
    get_config = runpy.run_path(str(ROOT / "configs/sweep_study.py"))["get_config"]
    config = validate(get_config(f"{part},{folder},{data}"), "sweep")
    pruned, run = name.replace("_recovered", ""), tmp_path / part / name
    runner = Runner(config, jp.load(folder), tmp_path / part)
    [variant] = [one for one in runner.variants if one.name == pruned]
    runner.make(variant)
    if name != pruned:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        command = ["bash", ROOT / "studies/study/recover.sh", tmp_path, folder, data]
        subprocess.run(command, env=os.environ | {"PATH": path}, check=True)
        run = tmp_path / f"{part}-recovered" / name
    with np.load(study.STUDY / f"{part}.npz") as committed:
        again = of_run(run)
        assert again
        for key, values in again.items():
            # sums are in another order on another CPU, which moves a few weights across the border
            np.testing.assert_allclose(values, committed[key], rtol=2e-2, atol=2e-2, err_msg=key)
