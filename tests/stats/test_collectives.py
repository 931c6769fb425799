"""Nothing crosses devices inside a compiled pass: activations and weights stay where they are.

Where devices share a block, its kernels are gathered and nothing else. Which collectives there are is settled when XLA
partitions a program, whether or not it optimises it afterwards."""

import json
import subprocess
import sys
from pathlib import Path

import device_jobs
import pytest
from device_jobs import environment

PROGRAM = r"""
import json, re
import jax, numpy as np
from flax.traverse_util import flatten_dict
from device_jobs import parameters
from jaxprune.models.config import ModelConfig
from jaxprune.models.families.xglm import FAMILY
from jaxprune.stats.finished import drop_weights
from jaxprune.pruning.programs import prune_compiled
from jaxprune.pruning.criterion import Inputs, key_of_seed
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.devices.sharding import block_shares, by_rows, device_mesh
from jaxprune.stats.walk import INPUT, Context, run_segment

config = ModelConfig("xglm", 64, 32, 2, 4, 4, 8, 48, "gelu", 1e-5, True, 64)
block = jax.tree.map(lambda x: x[0], parameters(config)["blocks"])

def passes(mesh):
    # the compiled passes of a block on a mesh, and the bytes of its kernels that a device holds
    params = jax.device_put(block, block_shares(block, mesh))
    rows = lambda x: jax.device_put(x, by_rows(mesh))
    x, valid = rows(np.ones((16, 8, 32), np.float32)), rows(np.ones((16, 8), bool))
    texts = {}
    for step in (*PROPAGATIONS["block"].steps, *PROPAGATIONS["site"].steps[:1]):
        how = dict(config=config, mesh=mesh, segment=step.segment)
        lowered = run_segment.lower((params, None), x, Context(valid), **how)
        texts[str(step.segment)] = lowered.compile().as_text()
    flat = flatten_dict(params, sep="/")
    kernels = {path: flat[path] for path in FAMILY.sites}
    settings, key, inputs = Settings(), key_of_seed(0), {}
    for path, kernel in kernels.items():
        norms = {"demonstrations": np.ones(kernel.shape[0], np.float32)}
        inputs[path] = Inputs(norms, path, np.int32(0), key, settings.compat)
    budgets = {path: Budget.of(settings, path, kernel.shape) for path, kernel in kernels.items()}
    given = (kernels, inputs, budgets)
    selected = prune_compiled.lower(*given, method=settings.method, mesh=mesh).compile()
    texts["select"] = selected.as_text()
    pruned, _ = jax.device_get(selected(*given))
    keep = {path: one.keep for path, one in pruned.items()}
    keep = jax.device_put(keep, {path: kernel.sharding for path, kernel in kernels.items()})
    texts["drop"] = drop_weights.lower(kernels, keep).compile().as_text()
    held = sum(kernel.addressable_shards[0].data.nbytes for kernel in kernels.values())
    return texts, held

kinds = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
mesh = device_mesh()
texts, held = passes(mesh)
found = {name: sorted(set(re.findall(kinds, text))) for name, text in texts.items()}
# groups of two devices, each of which holds half of every kernel
texts, half = passes(device_mesh(4, 2))
shared = {name: sorted(set(re.findall(kinds, text))) for name, text in texts.items()}
gathered = {
    name: re.findall(r"= f32\[([\d,]+)\]\S* all-gather\(", text) for name, text in texts.items()
}
# operations of each device in a pass over 16 rows, two to a micro-batch
flops = {}
for devices in (1, 2, 4, 8):
    some = device_mesh(devices)
    step = 2 * devices
    piece = (np.ones((step, 8, 32), np.float32), Context(np.ones((step, 8), bool)))
    how = dict(config=config, mesh=some, segment=PROPAGATIONS["dense"].steps[0].segment)
    compiled = run_segment.lower((block, None), *jax.device_put(piece, by_rows(some)), **how).compile()
    flops[devices] = compiled.cost_analysis()["flops"] * 16 / step
# the same search finds a collective where there is one
x = jax.device_put(np.ones((16, 8), np.float32), by_rows(mesh))
control = jax.jit(lambda x: x.sum(0)).lower(x).compile().as_text()
report = {"devices": mesh.size, "found": found, "control": re.findall(kinds, control)}
report |= {"shared": shared, "gathered": gathered, "held": [held, half]}
print(json.dumps(report | {"flops": flops}))
"""


@pytest.fixture(scope="module")
def report():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=Path(device_jobs.__file__).parent,
        env=environment(8), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def test_no_collective_in_any_pass_on_eight_devices(report):
    assert report["devices"] == 8
    assert len(report["found"]) == 5
    assert report["found"] == {name: [] for name in report["found"]}


def test_devices_that_share_a_block_gather_the_kernels_that_a_pass_reads(report):
    held, half = report["held"]
    assert half == held / 2
    attention, up, down = ["32,32"] * 4, ["32,48"], ["48,32"]
    statistics, forward, first, select, drop = report["gathered"].values()
    assert sorted(statistics) == sorted(attention + up)  # without the last product
    assert sorted(forward) == sorted(attention + up + down)
    assert first == select == drop == []
    statistics, forward, first, select, drop = report["shared"].values()
    assert statistics == forward == ["all-gather"]
    assert first == select == drop == []


def test_operations_of_a_device_fall_with_the_number_of_devices(report):
    flops = {int(devices): count for devices, count in report["flops"].items()}
    kernels = 4 * 32 * 32 + 2 * 32 * 48  # of a block; 16 rows of 8 tokens pass through them
    assert flops[1] > 2 * 16 * 8 * kernels
    assert flops == {devices: flops[1] / devices for devices in (1, 2, 4, 8)}


def test_the_search_would_find_one(report):
    assert report["control"]
