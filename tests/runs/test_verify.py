"""A run is read back whole; whatever is changed in it is found and named."""

import json
import shutil

import pytest
from folder_contents import flip_bit
from jobs import job
from run_scripts import run_alone, run_here

import jaxprune as jp
from jaxprune.nano import CHECKPOINTS
from jaxprune.pages.job import run_from_config
from jaxprune.runs.verify import verify


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A magnitude-pruned BLOOM with everything that is written."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    config = job(CHECKPOINTS["bloom"], pruning__criterion="magnitude", output__params=True)
    run_from_config(config, workdir)
    return workdir


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_that_is_not_complete_is_refused(run, tmp_path):
    (run / "report.json").unlink()
    with pytest.raises(jp.InputError, match="no complete run"):
        verify(run)
    with pytest.raises(jp.InputError, match="none: no such folder"):
        verify(tmp_path / "none")


def test_a_report_that_was_changed_is_a_difference(run):
    report = json.loads((run / "report.json").read_text())
    report["sparsity"]["layers"][1] = None
    (run / "report.json").write_text(json.dumps(report))
    [fault] = verify(run)
    assert fault.startswith("report.json: changed since it was written; ")


def test_the_script(run, monkeypatch, capfd):
    good = run_alone("verify", run)
    assert (good.returncode, good.stdout) == (0, f"{run}: OK\n")
    flip_bit(run / "hf" / "model.safetensors")
    bad = run_here(monkeypatch, capfd, "verify", run)
    assert bad.returncode == 1
    assert bad.stdout.startswith("differs: hf: model.safetensors: ")
    refused = run_here(monkeypatch, capfd, "verify", run / "hf")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: ")
    assert "Traceback" not in bad.stderr + refused.stderr


def test_files_of_others_are_a_line_each_whatever_their_names(run):
    for number in range(3):
        (run / "checkpoint" / f"{number:03}\n\x1b[1m").touch()
    faults = verify(run)
    assert faults[0] == r"checkpoint: 000\n\x1b[1m: not written by jaxprune"
    assert len(faults) == 3
