"""Status of runs: layers and time left, who writes, what is finished, also in a bucket."""

import os
import shutil
import socket
import time

import fsspec
import pytest
from jobs import job
from kills import Killed, killed_after

from jaxprune.base.errors import InputError
from jaxprune.base.files import store
from jaxprune.base.files.store import Store
from jaxprune.base.workdir.locks import locked
from jaxprune.pages.job import run_from_config
from jaxprune.pruning import loop
from jaxprune.runs.buckets.outline import outline
from jaxprune.runs.evaluate import evaluate_from_config
from jaxprune.search.status import run_status

MODEL = "nano/bloom"
HERE = f"process {os.getpid()} on {socket.gethostname()}"


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of four layers that was killed after two."""
    workdir = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        limited = killed_after(iter(range(3)), loop.prune_kernels)
        patch.setattr(loop, "prune_kernels", limited)
        with pytest.raises(Killed):
            run_from_config(samples(), workdir)
    return workdir


def samples(**fields):
    settings = {"calibration__data": "nano", "calibration__samples": 2, "output__hf": False}
    return job(MODEL, "prune", **settings, **fields)


def with_times(workdir, *ages):
    """Layers that were written so many seconds ago."""
    now = time.time()
    for layer, age in enumerate(ages):
        os.utime(workdir / "progress" / f"layer_{layer:05}.npz", (now - age, now - age))


def test_a_run_is_stopped_or_running_and_the_time_left_is_that_of_its_layers(stopped):
    layers = len([*(stopped / "progress").glob("layer_*.npz")])
    assert layers in (2, 3)  # the last one may be queued
    with_times(stopped, *(6000 - 3000 * layer for layer in range(layers)))
    left = (4 - layers) * 50 - (6000 - 3000 * (layers - 1)) / 60
    said = f"{layers} of 4 layers; {{}}; about {max(1, left):.0f} min left"
    assert run_status(stopped) == said.format("stopped; the same command resumes it")
    with locked(stopped):
        assert run_status(stopped) == said.format(f"running, {HERE}")


def test_a_finished_run_and_its_evaluations(tmp_path):
    report = run_from_config(samples(), tmp_path)
    finished = f"finished in {report['seconds']['total']:,.1f} s"
    assert run_status(tmp_path) == finished
    config = job(MODEL, "evaluate", evaluation__tasks="nano_nli", evaluation__rows=2)
    evaluate_from_config(config, tmp_path / "alone")
    assert run_status(tmp_path / "alone") == "evaluated on nano_nli"


def test_a_run_in_a_bucket_has_the_same_status_without_its_weights(stopped, monkeypatch):
    monkeypatch.setitem(store._EXTRAS, "memory", "memory")
    files = fsspec.filesystem("memory")
    files.store.clear()
    address = "memory://bucket/runs/one"
    bucket = Store(address, "--workdir")
    for file in (stopped / "progress").iterdir():
        bucket.upload(file, f"progress/{file.name}")
    read = []
    monkeypatch.setattr(Store, "download", _noting(read, Store.download))
    with outline(address) as workdir:
        status = run_status(workdir)
    assert status.startswith(run_status(stopped).partition(" min left")[0].split("; about")[0])
    assert read == ["progress/run.json"]
    bucket.write("progress/owner-000001.json", b'{"host": "a", "process": 7, "beats": 3}')
    with outline(address) as workdir:
        assert "; running, process 7 on a" in run_status(workdir)
    with pytest.raises(InputError, match="no such folder in the bucket"), outline(f"{address}1"):
        pass


def _noting(names, real):
    def download(self, chosen, folder):
        chosen = list(chosen)
        names.extend(chosen)
        real(self, chosen, folder)

    return download


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no run; expected the --workdir of one$"):
        run_status(tmp_path)


def test_a_record_of_an_earlier_version_has_no_number_of_layers(stopped, tmp_path):
    shutil.copytree(stopped, tmp_path / "run")
    record = tmp_path / "run" / "progress" / "run.json"
    record.write_text(record.read_text().replace('"layers"', '"other"'))
    assert "of ? layers; stopped" in run_status(tmp_path / "run")
