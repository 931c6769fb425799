"""A criterion is one new file: with it in a copy of the package, and nothing else changed, it is everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import jaxprune as jp
from jaxprune.pruning.methods import METHODS

ROOT = Path(__file__).parents[2]
FILE = '''"""Weights times the square of their features' norms."""

import jax.numpy as jnp

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion


def score(kernel, inputs):
    norm = inputs.norms[DEMONSTRATIONS][:, None]
    return jnp.abs(kernel.astype(jnp.float32)) * norm * norm


CRITERION = Criterion("squared", "weights by squared norms", score, measures=(DEMONSTRATIONS,))
'''
# The script, and what the package that it imported says afterwards.
PROGRAM = """
import json, runpy, sys
import numpy as np
from flax.traverse_util import flatten_dict

said_by, workdir, script, *arguments = sys.argv[1:]
sys.argv = [script, f"--workdir={workdir}", *arguments]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code

import jaxprune as jp
from jaxprune.cli.config.help import as_text
from jaxprune.cli.config.record import FIELDS
from jaxprune.cli.config.validate import base_config, validate

config = base_config()
config.model, config.calibration.data = "m", "nano"
config.pruning.criterion = "sqared"
try:
    validate(config)
except jp.InputError as error:
    refused = str(error)
model = jp.load(json.load(open(f"{workdir}/config.json"))["model"])
scores = jp.scores.squared(model.params, jp.checkpoint.restore_stats(f"{workdir}/stats"))
np.savez(f"{workdir}/scores.npz", **flatten_dict(scores, sep="/"))
json.dump({
    "file": jp.__file__, "choices": FIELDS["pruning.criterion"].choices, "refused": refused,
    "help": as_text(FIELDS, {}),
    "listed": "squared" in dir(jp.scores),
}, open(said_by, "w"))
"""


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A run with the new criterion: its workdir, and what a program in the same copy of the package says."""
    package = tmp_path_factory.mktemp("copy") / "jaxprune"
    shutil.copytree(ROOT / "jaxprune", package)
    (package / "pruning" / "criteria" / "squared.py").write_text(FILE)
    workdir, said_by = package.parent / "run", package.parent / "said.json"
    arguments = [
        f"--config={ROOT / 'configs' / 'nano.py'}:bloom", "--config.pruning.criterion=squared",
        "--config.pruning.sparsity=0.4", "--config.pruning.propagate=dense",
        "--config.calibration.samples=4", "--config.output.hf=False",
    ]  # fmt: skip
    script = ROOT / "scripts" / "prune.py"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, said_by, workdir, script, *arguments], cwd=package.parent,
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(said_by.read_text())
    assert Path(said["file"]).parent == package
    return workdir, said


def test_it_is_allowed_and_offered(added):
    _, said = added
    assert "squared" in said["choices"]
    assert set(said["choices"]) - {"squared"} == set(METHODS)
    assert said["refused"].startswith("pruning.criterion: got 'sqared'; expected ")
    assert "squared" in said["refused"].partition("expected ")[2].partition("did you mean")[0]
    assert "--config.pruning.criterion: " in said["help"]
    assert "weights by squared norms" in " ".join(said["help"].split())
    assert said["listed"]


def test_masks_and_scores_are_those_of_a_plain_loop(added):
    workdir, _ = added
    config = json.loads((workdir / "config.json").read_text())
    assert config["pruning"]["criterion"] == "squared"
    model = jp.load(config["model"])
    stats = jp.checkpoint.restore_stats(workdir / "stats")
    masks = flatten_dict(jp.checkpoint.restore(workdir / "checkpoint").masks, sep="/")
    kernels = flatten_dict(model.params, sep="/")
    norms = stats.norms("translation")
    with np.load(workdir / "scores.npz") as scores:
        assert set(scores.files) == set(masks) == {f"blocks/{path}" for path, _ in stats.sites}
        for path, site in stats.sites:
            kernel, mask = np.asarray(kernels[f"blocks/{path}"]), masks[f"blocks/{path}"]
            for layer in range(model.config.n_layers):
                norm = np.asarray(norms[site][layer], np.float32)
                expected = np.abs(kernel[layer]) * norm[:, None] * norm[:, None]
                np.testing.assert_array_equal(scores[f"blocks/{path}"][layer], expected)
                for column in range(kernel.shape[2]):
                    dropped = np.argsort(expected[:, column])[: int(0.4 * kernel.shape[1])]
                    keep = np.ones(kernel.shape[1], bool)
                    keep[dropped] = False
                    np.testing.assert_array_equal(mask[layer, :, column], keep)
