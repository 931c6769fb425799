"""An output of a run is one record: one that is added from outside is written, sealed, found damaged, and replaced."""

import numpy as np
import pytest
from jobs import job
from run_scripts import run_here

import jaxprune as jp
from jaxprune.files import read_json, sealed
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs import OUTPUTS, verify
from jaxprune.runs.outputs import Filling, Output
from jaxprune.runs.pipeline import prune_from_config


def fill_norms(model, config, folder):
    """The norm of a kernel of each block, in a file."""
    norms = []

    def close(pruned):
        with sealed.whole_folder(folder) as filled:
            np.savez(filled / "norms.npz", norms=norms)

    def add(block):
        norms.append(np.linalg.norm(block.params["mlp"]["up"]["kernel"]))

    return Filling(close, add)


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A run with one more output."""
    monkeypatch.setitem(OUTPUTS, "norms", Output("norms", fill_norms))
    prune_from_config(magnitude(), tmp_path / "run")
    return tmp_path / "run"


def magnitude(**fields):
    fields = {"pruning__criterion": "magnitude", "output__hf": False, **fields}
    return job(CHECKPOINTS["bloom"], **fields)


def test_it_is_written_sealed_and_told(run, capsys):
    capsys.readouterr()
    prune_from_config(magnitude(), run)  # tells again what there is
    assert str(run / "norms") in capsys.readouterr().out
    assert np.load(run / "norms" / "norms.npz")["norms"].shape == (
        jp.load(CHECKPOINTS["bloom"]).config.n_layers,
    )
    assert "norms/files.json" in read_json(run / "report.json")["files"]
    assert not (run / "progress").exists()
    assert verify(run, progress=False) == []


def test_its_damage_is_found(run, monkeypatch, capfd):
    file = run / "norms" / "norms.npz"
    file.write_bytes(file.read_bytes()[:-1])
    done = run_here(monkeypatch, capfd, "verify", run)
    assert (done.returncode, done.stdout.count("differs: norms: norms.npz: damaged")) == (1, 1)
    with pytest.raises(jp.InputError, match=r"norms: norms\.npz: damaged.*--overwrite"):
        prune_from_config(magnitude(), run)


def test_it_is_replaced_with_the_run_and_files_of_others_are_not(run):
    first = (run / "norms" / "files.json").read_bytes()
    prune_from_config(magnitude(pruning__sparsity=0.99), run, overwrite=True)
    assert (run / "norms" / "files.json").read_bytes() != first
    assert verify(run, progress=False) == []
    (run / "norms" / "mine").write_text("mine")
    with pytest.raises(jp.InputError, match=r"norms/mine exists and was not written by jaxprune"):
        prune_from_config(magnitude(), run, overwrite=True)
    (run / "norms" / "mine").unlink()


def test_one_that_is_not_asked_for_any_more_goes(run, monkeypatch):
    monkeypatch.setitem(OUTPUTS, "norms", Output("norms", lambda *_: None))
    prune_from_config(magnitude(), run, overwrite=True)
    assert not (run / "norms").exists()
    assert verify(run, progress=False) == []
