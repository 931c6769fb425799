"""Every addition is one file: a criterion, a method that changes weights, a statistic, an allocation, a family, …

Each is a file of tests/additions in a copy of the package, and then there wherever pruning goes: on the command line,
through a crash, on several devices and hosts, in exports, evaluations, sweeps and cards.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from device_jobs import environment
from flax.traverse_util import flatten_dict
from ports import free_port
from transformers_attributes import write_lists

import jaxprune as jp
from jaxprune.models.families import FAMILIES

ROOT = Path(__file__).parents[1]
FILES = Path(__file__).parent / "additions"
PLACES = {
    "rescaled": "pruning/methods", "by_absolute": "pruning/methods", "absolute": "stats/statistics",
    "falling": "pruning/allocations", "largest": "stats/combinations", "scratch": "pruning/criteria",
    "arcee": "models/families",
}  # fmt: skip
MODEL = ROOT / "jaxprune" / "nano" / "checkpoints" / "bloom"
CASES = ("statistic", "allocation", "combination")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder with a copy of the package that has one file more for each addition."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "jaxprune", folder / "jaxprune")
    for name, room in PLACES.items():
        shutil.copy(FILES / f"{name}.py", folder / "jaxprune" / room)
    write_lists(folder / "jaxprune" / "models", [*FAMILIES, "arcee"])  # as CONTRIBUTING.md says
    return folder


def started(package, workdir, devices, *processes):
    command = [sys.executable, FILES / "noted.py", workdir, MODEL, *map(str, processes)]
    workdir.mkdir(exist_ok=True)
    return subprocess.Popen(
        command, cwd=package, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment(devices) | {"PYTHONPATH": f"{package}:{FILES.parent}"},
    )  # fmt: skip


def found_by(workdir, *processes):
    for process in processes:
        output = process.communicate(timeout=540)[0]
        assert process.returncode == 0, output
    return json.loads((workdir / "found.json").read_text())


@pytest.fixture(scope="module")
def alone(package, tmp_path_factory):
    """What one process on one device finds, and where it worked."""
    workdir = tmp_path_factory.mktemp("alone")
    return workdir, found_by(workdir, started(package, workdir, 1))


@pytest.mark.parametrize("case", CASES)
def test_a_run_is_whole_and_usable(alone, case):
    found = alone[1][case]
    assert found["faults"] == []
    assert found["resumed"]
    assert found["overlaid"]
    assert found["evaluated"]
    card = found["card"]
    changes = case == "allocation"
    assert ("all other weights are bit-identical to the dense model's" in card) != changes
    assert ("The method changed other weights of these layers" in card) == changes
    assert ("falling: more in the first blocks" in card) == (case == "allocation")
    assert ("largest: the language where a feature is largest" in card) == (case == "combination")
    assert found["changes"] == changes


def kernels(folder):
    found = flatten_dict(jp.load(folder).params["blocks"], sep="/")
    return {path: leaf for path, leaf in found.items() if path.endswith("/kernel")}


def test_weights_are_those_of_a_plain_loop(alone):
    dense, made = kernels(MODEL), kernels(alone[0] / "allocation" / "hf")
    for path, kernel in dense.items():
        for layer, (old, new) in enumerate(zip(kernel, made[path], strict=True)):
            share = 0.4 + 0.05 * (1.5 - layer)
            for column in range(0, old.shape[1], 31):
                size = np.abs(old[:, column])
                gone = np.argsort(size, kind="stable")[: int(len(size) * share)]
                kept = np.delete(np.arange(len(size)), gone)
                want = np.zeros_like(size)
                want[kept] = old[kept, column] * (size.sum() / size[kept].sum())
                np.testing.assert_allclose(new[:, column], want, rtol=1e-5)
                assert not new[gone, column].any()


def test_transformers_loads_the_changed_weights(alone):
    import torch
    import transformers

    folder = alone[0] / "allocation" / "hf"
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokens = np.arange(3, 19)[None]
    with torch.no_grad():
        want = model(torch.asarray(tokens)).logits.numpy()
    loaded = jp.load(folder)
    got = jp.forward(loaded.config, loaded.params, tokens.astype(np.int32))
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-3, atol=1e-3)


def test_sweeps_prune_by_them(alone):
    assert alone[1]["sweep"] == {"rescaled": True, "by_absolute": True}


def test_eight_devices_and_two_processes_make_the_same(alone, package, tmp_path):
    eight, two = tmp_path / "eight", tmp_path / "two"
    first = started(package, eight, 8)
    address = f"127.0.0.1:{free_port()}"
    pair = [started(package, two, 2, address, 2, process) for process in range(2)]
    on_eight, on_two = found_by(eight, first), found_by(two, *pair)
    assert [*on_eight] == [*on_two] == ["statistic", "allocation", "combination"]
    for case, found in on_eight.items():
        assert found["digests"] == on_two[case]["digests"] == alone[1][case]["digests"]


def test_the_command_line_offers_them(package):
    done = subprocess.run(
        [sys.executable, "-m", "jaxprune", "prune", "--help"], cwd=package, text=True, capture_output=True,
        env=os.environ | {"PYTHONPATH": str(package)}, check=True,
    )  # fmt: skip
    help_text = " ".join(done.stdout.split())
    for said in (
        "rescaled, largest weights", "falling, more in the", "largest, the language", "scratch, weights by",
    ):  # fmt: skip
        assert said in help_text


def test_a_family_is_one_file(package, tmp_path):
    """Its logits are those of transformers, before pruning and after."""
    import torch
    import transformers

    config = transformers.ArceeConfig(
        vocab_size=131, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, max_position_embeddings=64, mlp_bias=True,
    )  # fmt: skip
    torch.manual_seed(0)
    dense = transformers.ArceeForCausalLM(config)
    for name, bias in dense.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(bias)
    dense.save_pretrained(tmp_path / "dense")
    code = """
import sys
import jax, numpy as np
import jaxprune as jp
model, tokens = jp.load(sys.argv[1]), np.arange(3, 19, dtype=np.int32)[None]
result = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
jp.export_hf(model, result.params, sys.argv[2])
both = [jp.forward(model.config, params, tokens) for params in (model.params, result.params)]
np.save(sys.argv[3], np.stack(jax.device_get(both)))
"""
    pruned, logits = tmp_path / "pruned", tmp_path / "logits.npy"
    subprocess.run(
        [sys.executable, "-c", code, tmp_path / "dense", pruned, logits], cwd=package, check=True,
        env=environment(1) | {"PYTHONPATH": str(package)},
    )  # fmt: skip
    tokens = torch.arange(3, 19)[None]
    for folder, got in zip((tmp_path / "dense", pruned), np.load(logits), strict=True):
        with torch.no_grad():
            model = transformers.AutoModelForCausalLM.from_pretrained(folder)
            want = model(tokens).logits.numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    kernels = [leaf for leaf in model.model.layers[0].mlp.parameters() if leaf.ndim == 2]
    zeros = [(kernel == 0).float().mean() for kernel in kernels]
    np.testing.assert_allclose(zeros, 0.5, atol=0.01)
