"""The folders of a run: what must be written, and what an older version wrote."""

import json
import shutil

import jax
import numpy as np
import pytest
from jobs import job
from run_json import write_report

import jaxprune as jp
from jaxprune.base.files import manifest
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.pruned_model import pruned_model


def sparsegpt(**fields):
    given = {"calibration__data": "nano", "calibration__samples": 4, **fields}
    return job(CHECKPOINTS["bloom"], pruning__criterion="sparsegpt", **given)


def test_a_method_that_changes_weights_needs_the_folder_that_has_them(tmp_path):
    with pytest.raises(jp.InputError, match=r"output\.hf: got False.*expected output\.hf=true"):
        prune_from_config(sparsegpt(output__hf=False), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_changed_weights_are_read_from_hf(tmp_path):
    prune_from_config(sparsegpt(), tmp_path / "run")
    dense = jp.load(CHECKPOINTS["bloom"])
    pruned, exported = pruned_model(dense, tmp_path / "run"), jp.load(tmp_path / "run" / "hf")
    jax.tree.map(np.testing.assert_array_equal, dict(pruned.params), dict(exported.params))
    shutil.rmtree(tmp_path / "run" / "hf")  # as a run of an earlier version may have none
    with pytest.raises(jp.InputError, match=r"run: no hf/, .*repeat it with output\.hf=true"):
        pruned_model(dense, tmp_path / "run")


def test_layers_of_an_earlier_version_go_with_their_run(tmp_path):
    prune_from_config(sparsegpt(), tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    folder = tmp_path / "run" / "layers"
    folder.mkdir()
    np.savez(folder / "layer_00000.npz", bits=np.zeros(1))
    manifest.seal(folder)
    report["files"]["layers/files.json"] = [*manifest.file_facts(folder / "files.json")]
    write_report(tmp_path / "run" / "report.json", report)
    prune_from_config(sparsegpt(pruning__sparsity=0.6), tmp_path / "run", overwrite=True)
    assert not folder.exists()
