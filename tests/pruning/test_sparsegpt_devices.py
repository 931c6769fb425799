"""Gram matrices, and weights of SparseGPT and GPTQ, on meshes of several sizes: the same bits in one order of sums."""

import json
import subprocess
import sys
from pathlib import Path

import device_jobs
import pytest
from device_jobs import environment

# Digests of the sums and of the pruned and quantized weights, also where devices share blocks.
PROGRAM = """
import hashlib, json, sys
import jax
import numpy as np
import jaxprune as jp
from jaxprune.stats.grouping import group_by_length
from jaxprune.devices.sharding import device_mesh
from jaxprune.stats.running import order_of_sums
from jaxprune.stats.statistics import STATISTICS

rng = np.random.default_rng(2)
samples = [rng.integers(0, 131, n).astype(np.int32) for n in rng.integers(3, 17, 21)]
languages = ["fr", "sw"] * 10 + ["fr"]
batches = group_by_length(samples, "translation", languages=languages, multiple=8, max_shapes=2)
model, wide, found, sums = jp.load(sys.argv[1]), jp.load("nano/bloom"), {}, {}

def digest(tree):
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        sha.update(np.asarray(leaf).tobytes())
    return sha.hexdigest()

for shape in ((1,), (2,), (4,), (8,), (2, 2), (3,)):
    mesh = device_mesh(*shape)
    stats = jp.probe(model, batches, statistics=("gram",), mesh=mesh, progress=False)
    name = "x".join(map(str, shape))
    found[name] = {"sums": digest(stats.sums), "order": order_of_sums([STATISTICS["gram"]], mesh)}
    sums[name] = stats.sums["translation", "fr"]["mlp_out"]["gram"]
    if name != "3":
        result = jp.prune(model, batches, criterion="sparsegpt", mesh=mesh, progress=False)
        found[name]["weights"] = digest(result.params["blocks"])
        quantized = jp.quantize(wide, batches, mesh=mesh, size="0.9MB", progress=False)
        found[name]["levels"] = digest(quantized.model.params["blocks"])
far = float(np.abs(sums["3"] / sums["1"] - 1).max())
print(json.dumps({"found": found, "far": far}))
"""


@pytest.fixture(scope="module")
def report(tiny_folder):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tiny_folder("bloom")], env=environment(8), text=True,
        cwd=Path(device_jobs.__file__).parent, capture_output=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_one_two_four_and_eight_devices_add_in_one_order(report):
    """What sums depend on is told where it differs, for the identity of runs."""
    one_order = {name: of for name, of in report["found"].items() if name != "3"}
    assert [*one_order] == ["1", "2", "4", "8", "2x2"]
    assert len({of["sums"] for of in one_order.values()}) == 1
    assert {of["order"] for of in one_order.values()} == {"8 lanes, 1 processes"}
    assert report["found"]["3"]["order"] == "3 lanes, 1 processes"
    assert report["far"] < 1e-3


def test_weights_do_not_depend_on_the_number_of_devices(report):
    for name in ("weights", "levels"):
        digests = [of[name] for of in report["found"].values() if name in of]
        assert len(digests) == 5
        assert len({*digests}) == 1
