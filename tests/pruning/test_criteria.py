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

ROOT = Path(__file__).parents[2]
FILE = '''"""Weights times the square of their features' norms."""

import jax.numpy as jnp

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion


def score(kernel, inputs):
    norm = inputs.norms[DEMONSTRATIONS][:, None]
    return jnp.abs(kernel.astype(jnp.float32)) * norm * norm


CRITERION = Criterion("squared", "weights by squared norms", score, measures=(DEMONSTRATIONS,))
'''
PROGRAM = """
import json, sys
import numpy as np
from flax.traverse_util import flatten_dict
import jaxprune as jp
from jaxprune.config import FIELDS, as_text
from jaxprune.config.validate import base_config, validate

workdir = sys.argv[1]
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
print(json.dumps({
    "file": jp.__file__, "choices": FIELDS["pruning.criterion"].choices, "refused": refused, "help": as_text(),
    "listed": "squared" in dir(jp.scores),
}))
"""


def output_of(package, *arguments):
    """What a Python process that imports this copy of the package prints."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=package.parent, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(package.parent)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """A run with the new criterion: its workdir, and what a program in the same copy of the package says."""
    package = tmp_path_factory.mktemp("copy") / "jaxprune"
    shutil.copytree(ROOT / "jaxprune", package)
    (package / "pruning" / "criteria" / "squared.py").write_text(FILE)
    workdir = package.parent / "run"
    output_of(
        package, ROOT / "scripts" / "prune.py", f"--config={ROOT / 'configs' / 'nano.py'}:bloom",
        f"--workdir={workdir}", "--config.pruning.criterion=squared", "--config.pruning.sparsity=0.4",
        "--config.pruning.propagate=dense", "--config.calibration.samples=4", "--config.output.hf=False",
    )  # fmt: skip
    said = json.loads(output_of(package, "-c", PROGRAM, workdir).splitlines()[-1])
    assert Path(said["file"]).parent == package
    return workdir, said


def test_it_is_allowed_and_offered(added):
    _, said = added
    assert "squared" in said["choices"]
    assert set(said["choices"]) - {"squared"} == set(jp.pruning.CRITERIA)
    assert said["refused"].startswith("pruning.criterion: got 'sqared'; allowed: ")
    assert "squared" in said["refused"].partition("allowed: ")[2].partition("did you mean")[0]
    assert "--config.pruning.criterion: " in said["help"]
    assert "weights by squared norms" in said["help"]
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
