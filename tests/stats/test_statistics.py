"""Statistics that the devices add up: Gram matrices against torch, and the same bits on many meshes."""

import json
import subprocess
import sys
from pathlib import Path

import device_jobs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_torch
from device_jobs import environment
from torch_loop import depth, input_sums

import jaxprune as jp
from jaxprune.data.batches import SetKey
from jaxprune.hf.weights import stored_name
from jaxprune.stats.grouping import group_by_length
from jaxprune.stats.statistics.gram import gram

LANGUAGES = ("fr", "sw", "fr", "fr", "sw", "sw", "fr")


def sequences(count, seed):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 131, n).astype(np.int32) for n in rng.integers(3, 17, count)]


@pytest.mark.parametrize("name", ["xglm", "gemma2", "cohere"])
def test_gram_matrices_are_those_of_torch_by_language(name, tiny_folder):
    """Of every linear layer's inputs; rows have pads, which hold other tokens' features."""
    model, samples = jp.load(tiny_folder(name)), sequences(7, 1)
    batches = group_by_length(samples, "translation", languages=LANGUAGES, multiple=8, max_shapes=2)
    stats = jp.probe(model, batches, statistics=("gram", "squares"), progress=False)
    reference = tiny_torch(name)
    for code in ("fr", "sw"):
        own = [row for row, language in zip(samples, LANGUAGES, strict=True) if language == code]
        layers = range(depth(reference))
        want, _ = input_sums(reference, layers, own, of=lambda x: x.T @ x)
        for path, site in stats.sites:
            for layer in layers:
                tensor = stored_name(model.config, f"blocks/{path}", layer)
                (name,) = (n for at, n in want if at == layer and tensor.endswith(f".{n}.weight"))
                sums, gram = stats.sums[SetKey("translation", code)][site], want[layer, name]
                np.testing.assert_allclose(
                    sums["gram"][layer], gram, rtol=1e-4, atol=1e-5 * np.abs(gram).max()
                )
                diagonal = np.diag(sums["gram"][layer])
                np.testing.assert_allclose(diagonal, sums["squares"][layer], rtol=1e-5)


def test_pads_do_not_count_whatever_they_hold():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 7, 5)).astype(np.float32)
    valid = np.arange(7) < np.array([7, 3, 0])[:, None]
    want = np.einsum("btd,bte->bde", u * valid[..., None], u * valid[..., None])
    poisoned = np.where(valid[..., None], u, [np.nan, np.inf, -np.inf, 1e30, 0]).astype(np.float32)
    got = gram(jnp.asarray(poisoned), jnp.asarray(valid))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


# The Gram matrices of a model on meshes of several sizes, and of one whose devices share blocks.
PROGRAM = """
import hashlib, json, sys
import numpy as np
import jaxprune as jp
from jaxprune.stats.grouping import group_by_length
from jaxprune.devices.sharding import device_mesh
from jaxprune.stats.running import order_of_sums
from jaxprune.stats.statistics import STATISTICS

folder = sys.argv[1]
rng = np.random.default_rng(2)
samples = [rng.integers(0, 131, n).astype(np.int32) for n in rng.integers(3, 25, 29)]
batches = group_by_length(samples, "translation", languages=["fr", "sw"] * 14 + ["fr"], multiple=8, max_shapes=3)
model, found, orders, sums = jp.load(folder), {}, {}, {}
for shape in ((1,), (2,), (4,), (8,), (2, 2), (3,)):
    mesh = device_mesh(*shape)
    stats = jp.probe(model, batches, statistics=("gram",), mesh=mesh, progress=False)
    sha = hashlib.sha256()
    for key in sorted(stats.sums):
        for site, by_name in sorted(stats.sums[key].items()):
            sha.update(by_name["gram"].tobytes())
    name = "x".join(map(str, shape))
    found[name], orders[name] = sha.hexdigest(), order_of_sums([STATISTICS["gram"]], mesh)
    sums[name] = stats.sums["translation", "fr"]["mlp_out"]["gram"]
print(json.dumps({"found": found, "orders": orders, "far": float(np.abs(sums["3"] / sums["1"] - 1).max())}))
"""


def test_one_two_four_and_eight_devices_add_in_one_order(tiny_folder):
    """What sums depend on is told where it differs, for the identity of runs."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tiny_folder("bloom")], env=environment(8), text=True,
        cwd=Path(device_jobs.__file__).parent, capture_output=True, check=True,
    )  # fmt: skip
    report = json.loads(done.stdout.splitlines()[-1])
    found, orders = report["found"], report["orders"]
    assert len({found[mesh] for mesh in ("1", "2", "4", "8", "2x2")}) == 1
    assert {orders[mesh] for mesh in ("1", "2", "4", "8", "2x2")} == {"8 lanes, 1 processes"}
    assert orders["3"] == "3 lanes, 1 processes"
    assert report["far"] < 1e-3


def test_an_unknown_statistic_is_refused(tiny_folder):
    batches = group_by_length(sequences(2, 1), "translation")
    with pytest.raises(
        jp.InputError, match="statistics: got 'grams'; expected gram, positive, squares"
    ):
        jp.probe(jp.load(tiny_folder("bloom")), batches, statistics=["grams"], progress=False)


def test_results_that_nobody_takes_are_not_kept(tiny_folder):
    """Of a pass of many micro-batches two are there at a time."""
    from jaxprune.devices.sharding import device_mesh
    from jaxprune.stats.states import calibration_states

    batches = group_by_length(sequences(12, 3), "translation", max_shapes=1)
    states = calibration_states(
        jp.load(tiny_folder("bloom")), batches, device_mesh(1), 1, "float32"
    )
    alive, most = 0, 0

    class Result:
        def __init__(self):
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self):
            nonlocal alive
            alive -= 1

    jax.tree_util.register_pytree_node(Result, lambda r: ((), None), lambda *_: None)
    states.run(lambda state, context: (None, Result()))
    assert len(states.states) == 12
    assert most <= 3
    assert alive == 0
