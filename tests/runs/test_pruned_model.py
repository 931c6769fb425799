"""The pruned model of a finished run: changed weights are those of hf/, which such a run must write."""

import shutil

import jax
import numpy as np
import pytest
from jobs import job
from recount import recount

import jaxprune as jp
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.steps.finished_run import pruned_model


def sparsegpt(**fields):
    given = {"calibration__data": "nano", "calibration__samples": 4, **fields}
    return job(CHECKPOINTS["bloom"], pruning__criterion="sparsegpt", **given)


def assert_equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, dict(one), dict(other))


def test_a_method_that_changes_weights_needs_the_folder_that_has_them(tmp_path):
    with pytest.raises(jp.InputError, match=r"output\.hf: got False.*expected output\.hf=true"):
        run_from_config(sparsegpt(output__hf=False), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_changed_weights_are_read_from_hf_and_ignored_blocks_are_dense(tmp_path):
    run_from_config(sparsegpt(pruning__ignore="1/*"), tmp_path / "run")
    assert recount(tmp_path / "run") == []
    dense = jp.load(CHECKPOINTS["bloom"])
    pruned, exported = pruned_model(dense, tmp_path / "run"), jp.load(tmp_path / "run" / "hf")
    assert_equal(pruned.params, exported.params)
    assert_equal(pruned.block(1), dense.block(1))
    shutil.rmtree(tmp_path / "run" / "hf")  # as a run of an earlier version may have none
    with pytest.raises(jp.InputError, match=r"run: no hf/, .*repeat it with output\.hf=true"):
        pruned_model(dense, tmp_path / "run")
