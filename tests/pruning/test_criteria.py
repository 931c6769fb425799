"""A criterion is one new file: with it in a copy of the package, and nothing else changed, it is everywhere."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from flax.traverse_util import flatten_dict

import jaxprune as jp
from jaxprune.pruning.methods import METHODS

FILE = '''"""Weights times the square of their features' norms."""

import jax.numpy as jnp

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion


def score(kernel, inputs):
    norm = inputs.norms[DEMONSTRATIONS][:, None]
    return jnp.abs(kernel.astype(jnp.float32)) * norm * norm


CRITERION = Criterion("scratch", "weights by squared norms", score, measures=(DEMONSTRATIONS,))
'''
# What the copy of the package says, and what it makes of the criterion.
PROGRAM = """
import json, sys
import numpy as np
from flax.traverse_util import flatten_dict
import jaxprune as jp
from jaxprune.cli.config.help import as_text
from jaxprune.cli.config.record import FIELDS

try:
    jp.Settings(criterion="scrach")
except jp.InputError as error:
    refused = str(error)
model = jp.load("nano/bloom")
batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
result = jp.prune(model, batches, criterion="scratch", sparsity=0.4, propagate="dense", progress=False)
scores = jp.scores.scratch(model.params, result.stats)
kept = jp.masks.overlap(jp.masks.keep(scores, 0.4), result.masks).overall
np.savez("scores.npz", **flatten_dict(scores["blocks"], sep="/"))
np.savez("norms.npz", **result.stats.norms("translation"))
print(json.dumps({
    "file": jp.__file__, "choices": FIELDS["pruning.criterion"].choices, "refused": refused,
    "help": as_text(FIELDS, {}), "listed": "scratch" in dir(jp.scores), "sites": result.stats.sites, "kept": kept,
}))
"""


def test_it_is_allowed_and_offered_and_scores(tmp_path):
    package = Path(jp.__file__).parent
    shutil.copytree(package, tmp_path / "jaxprune")
    (tmp_path / "jaxprune" / "pruning" / "criteria" / "scratch.py").write_text(FILE)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert Path(said["file"]).parent == tmp_path / "jaxprune"
    assert {*said["choices"]} - {"scratch"} == set(METHODS)
    assert "scratch" in said["choices"]
    assert said["refused"].startswith("criterion: got 'scrach'; expected ")
    assert "scratch" in said["refused"].partition("expected ")[2].partition("did you mean")[0]
    assert "weights by squared norms" in " ".join(said["help"].split())
    assert said["listed"]
    assert said["kept"] == 1
    kernels = flatten_dict(jp.load("nano/bloom").params["blocks"], sep="/")
    with np.load(tmp_path / "scores.npz") as scores, np.load(tmp_path / "norms.npz") as norms:
        assert {*scores.files} == {path for path, _ in said["sites"]}
        for path, site in said["sites"]:
            norm = norms[site][:, :, None]
            np.testing.assert_array_equal(scores[path], np.abs(kernels[path]) * norm * norm)
