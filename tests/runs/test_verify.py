"""A run is read back whole; whatever is changed in it is found and named."""

import json
import re
import shutil

import jax
import ml_dtypes
import numpy as np
import pytest
from recount import recount
from run_scripts import run_alone, run_here
from safetensors.numpy import load_file, save_file

import jaxprune as jp
from jaxprune.cli.config.validate import base_config, validate
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.verify import verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A magnitude-pruned BLOOM with everything that is written."""
    config = base_config()
    config.model = CHECKPOINTS["bloom"]
    config.pruning.criterion = "magnitude"
    config.output.params = True
    workdir = tmp_path_factory.mktemp("whole") / "run"
    prune_from_config(validate(config), workdir)
    return workdir


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def test_a_whole_run_is_as_it_says(whole):
    assert recount(whole) == []


def change_tensor(run, name, change):
    """Saves a tensor of hf/ after `change`, which gets it as an array."""
    file = run / "hf" / "model.safetensors"
    tensors = load_file(file)
    tensors[name] = change(tensors[name])
    save_file(tensors, file, metadata={"format": "pt"})


KERNEL = "transformer.h.1.mlp.dense_h_to_4h.weight"


def nudged(tensor):
    """With the last bit of one kept weight flipped."""
    bits = tensor.copy().view(f"u{tensor.itemsize}")
    place = np.unravel_index(np.flatnonzero(bits)[5], bits.shape)
    bits[place] ^= 1
    return bits.view(tensor.dtype)


def test_an_export_of_other_sizes_is_a_fault(run, tiny_folder):
    shutil.rmtree(run / "hf")
    shutil.copytree(tiny_folder("bloom"), run / "hf")
    assert verify(run) == ["hf/files.json: missing"]


def test_one_bit_of_a_kept_weight_is_found(run):
    change_tensor(run, KERNEL, nudged)
    [damaged] = verify(run)
    assert re.fullmatch(r"hf: model\.safetensors: damaged, its bytes are not those .*", damaged)


def test_other_masks_are_found(run):
    restored = jp.checkpoint.restore(run / "checkpoint")
    mask = restored.masks["blocks"]["mlp"]["up"]["kernel"]
    mask[0, 0, 0] ^= True
    jp.checkpoint.save(
        run / "checkpoint",
        params=restored.params,
        masks=restored.masks,
        metadata=restored.metadata,
        overwrite=True,
    )
    assert verify(run)[0].startswith("checkpoint/files.json: damaged")


def cut(file):
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize("damage", ["weights", "checkpoint", "config"])
def test_damaged_files_are_told_in_one_line(run, damage):
    if damage == "weights":
        cut(run / "hf" / "model.safetensors")
    elif damage == "config":
        (run / "hf" / "config.json").write_text("{")
    else:
        for file in (run / "checkpoint" / "masks").rglob("*"):
            if file.is_file() and file.stat().st_size > 1000:
                cut(file)
    faults = verify(run)
    assert faults
    for fault in faults:
        assert fault.startswith("checkpoint: " if damage == "checkpoint" else "hf: ")
        assert "\n" not in fault


def test_a_run_that_is_not_complete_is_refused(run, tmp_path):
    (run / "report.json").unlink()
    for folder in (run, tmp_path / "none"):
        with pytest.raises(jp.InputError, match="no complete run"):
            verify(folder)


def test_a_report_that_was_changed_is_a_difference(run, monkeypatch, capfd):
    report = json.loads((run / "report.json").read_text())
    report["sparsity"]["layers"][1] = None
    (run / "report.json").write_text(json.dumps(report))
    [fault] = verify(run)
    assert fault.startswith("report.json: changed since it was written; ")
    bad = run_here(monkeypatch, capfd, "verify", run)
    assert bad.returncode == 1
    assert bad.stdout.startswith("differs: report.json: changed since it was written")


def test_the_script(run, monkeypatch, capfd):
    good = run_alone("verify", run)
    assert (good.returncode, good.stdout) == (0, f"{run}: OK\n")
    change_tensor(run, KERNEL, nudged)
    bad = run_here(monkeypatch, capfd, "verify", run)
    assert bad.returncode == 1
    assert bad.stdout.startswith("differs: hf: model.safetensors: ")
    refused = run_here(monkeypatch, capfd, "verify", run / "hf")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in bad.stderr + refused.stderr


def test_half_precision_is_read_as_it_is_stored(tmp_path):
    """bfloat16 on disk: bits, not values, are compared."""
    model = jp.load(CHECKPOINTS["gpt2"])
    half = jax.tree.map(lambda leaf: np.asarray(leaf, ml_dtypes.bfloat16), dict(model.params))
    jp.export_hf(model, half, tmp_path / "half")
    config = base_config()
    config.model = str(tmp_path / "half")
    config.pruning.criterion = "random"
    prune_from_config(validate(config), tmp_path / "run")
    assert recount(tmp_path / "run") == []


def test_files_of_others_are_a_line_each_whatever_their_names(run):
    for number in range(3):
        (run / "checkpoint" / f"{number:03}\n\x1b[1m").touch()
    faults = verify(run)
    assert faults[0] == r"checkpoint: 000\n\x1b[1m: not written by jaxprune"
    assert len(faults) == 3
