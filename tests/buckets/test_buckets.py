"""Workdirs in buckets: what is uploaded in which order, who owns them, and runs that are interrupted at any request."""

import json
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest
from absl import flags
from folder_contents import contents
from kills import Killed

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest, places, store
from jaxprune.base.files.places import local_path
from jaxprune.base.files.store import Store, is_address
from jaxprune.base.files.whole import write_json
from jaxprune.cli.configured import parse
from jaxprune.nano import CHECKPOINTS
from jaxprune.runs import run as ledger_run
from jaxprune.runs.buckets import ownership, workdir
from jaxprune.runs.buckets.mirror import Mirror
from jaxprune.runs.buckets.ownership import Ownership
from jaxprune.runs.buckets.workdir import staged

ADDRESS = "memory://bucket/runs/one"
MODEL = "memory://bucket/model"
BLOOM = Path(CHECKPOINTS["bloom"])


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """A store in memory, whose requests are immediate."""
    monkeypatch.setitem(store._EXTRAS, "memory", "memory")
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.pseudo_dirs[:] = [""]
    return fs


def there():
    return Store(ADDRESS, "--workdir")


def noted(monkeypatch, request):
    """The arguments of the requests of a kind that are made from now on."""
    calls, real = [], getattr(Store, request)
    monkeypatch.setattr(Store, request, lambda self, *args: (calls.append(args), real(self, *args)))
    return calls


class Stops(Store):
    """A store at whose n-th change the process is killed."""

    def __init__(self, after):
        super().__init__(ADDRESS, "--workdir")
        self.left = after

    def _count(self):
        self.left -= 1
        if self.left < 0:
            raise Killed

    def write(self, *args):
        self._count()
        super().write(*args)

    def upload(self, *args):
        self._count()
        super().upload(*args)

    def remove(self, names):
        for name in names:
            self._count()
            super().remove([name])


def a_run(folder, layers, text, outputs=("hf", "checkpoint")):
    """The files of a run, as the ledger writes them, in steps after each of which it may be mirrored."""
    progress = folder / "progress"
    progress.mkdir(parents=True, exist_ok=True)
    write_json(progress / "run.json", {"of": text})
    yield
    for layer in range(layers):
        (progress / f"layer_{layer}.npz").write_bytes(f"{text} {layer}".encode())
        yield
    for name in outputs:
        (progress / name).mkdir()
        (progress / name / "weights").write_bytes(text.encode() * 100)
        yield
        manifest.seal(progress / name)
    ledger_run._commit(progress, {"of": text}, {"of": text})
    ledger_run._put_in_place(folder)
    yield
    shutil.rmtree(progress)
    yield


def run_to_the_end(folder, target, layers=2, text="new", outputs=("hf",)):
    for _ in a_run(folder, layers, text, outputs):
        target.push()


def is_finished_before_the_kill(target, start, older):
    """A run whose process is killed at a request to the store `target`, perhaps where an older run is."""
    if older:
        first = Mirror(Stops(999), start / "old")
        run_to_the_end(start / "old", first, text="old", outputs=("hf", "checkpoint"))
    (start / "killed").mkdir(parents=True)
    try:
        run_to_the_end(start / "killed", Mirror(target, start / "killed"))
    except Killed:
        return False
    return True


def is_whole(folder, text):
    """Whether a folder has a complete run, with all files of its tables."""
    report = json.loads((folder / "report.json").read_text())
    assert report["of"] == text
    for name, facts in report["files"].items():
        assert manifest.fault(folder / name, tuple(facts)) is None, name
        if name.endswith(manifest.TABLE):
            assert not [*manifest.faults((folder / name).parent)], name
    return True


@pytest.mark.parametrize("older", [False, True])
def test_a_run_that_is_killed_at_any_request_leaves_a_run_or_its_layers(older, tmp_path, memory):
    """The next owner finds the older run, the layers of the new one, or the new one, and can finish it."""
    for after in range(60):
        memory.store.clear()
        start = tmp_path / f"{after}"
        finished = is_finished_before_the_kill(Stops(after), start, older)
        (start / "next").mkdir()
        again = Mirror(Stops(999), start / "next")
        found = contents(start / "next")
        if "report.json" in found:
            text = json.loads(found["report.json"])["of"]
            assert is_whole(start / "next", text)
        else:  # no result without its report
            assert all(name.startswith("progress/") for name in found), found
        if finished:
            assert is_whole(start / "next", "new")
            assert after > 8
            return
        shutil.rmtree(start / "next" / "progress", ignore_errors=True)
        run_to_the_end(start / "next", again)
        shutil.rmtree(start / "killed")
        (start / "killed").mkdir()
        Mirror(Stops(999), start / "killed")
        assert contents(start / "killed") == contents(start / "next")
        assert is_whole(start / "killed", "new")
    pytest.fail("never finished")


def test_layers_are_uploaded_at_once_and_results_in_order(tmp_path, monkeypatch):
    uploads, target = noted(monkeypatch, "upload"), Mirror(there(), tmp_path)
    for step, _ in enumerate(a_run(tmp_path, 2, "new")):
        target.push()
        if step == 1:
            assert [name for _, name in uploads] == ["progress/run.json", "progress/layer_0.npz"]
    results = [name for _, name in uploads if not name.startswith("progress/")]
    assert results == [
        "checkpoint/weights", "config.json", "hf/weights",
        "checkpoint/files.json", "hf/files.json", "report.json",
    ]  # fmt: skip
    assert {*there().facts()} == {*results}


def test_files_of_others_are_kept_and_unfinished_ones_stay_here(tmp_path, memory):
    memory.pipe_file("bucket/runs/one/notes.txt", b"mine")
    target = Mirror(there(), tmp_path / "a")
    assert contents(tmp_path / "a") == {"notes.txt": b"mine"}
    unfinished = "report.json.new", "progress/lock", "x.jaxprune-unfinished/fr.npz", "progress/hf/a"
    for name in unfinished:
        (tmp_path / "a" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_text("half")
    target.push()
    assert [*there().facts()] == ["notes.txt"]


def test_a_card_that_changes_is_uploaded_alone(tmp_path, monkeypatch):
    target = Mirror(there(), tmp_path)
    for _ in a_run(tmp_path, 1, "new"):
        (tmp_path / "hf").is_dir() and (tmp_path / "hf" / manifest.CARD).write_text(
            manifest.signed("a\n")
        )
        target.push()
    uploads = noted(monkeypatch, "upload")
    (tmp_path / "hf" / manifest.CARD).write_text(manifest.signed("other\n"))
    target.push()
    assert [name for _, name in uploads] == ["hf/README.md"]


# Owners.


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(ownership, "LEASE", 0.4)
    monkeypatch.setattr(ownership, "RENEW", 0.05)
    monkeypatch.setattr(workdir, "RENEW", 0.05)
    monkeypatch.setattr(workdir, "_PAUSE", 0.02)


def wait_until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_writer_is_refused_while_the_first_is_alive(quick, monkeypatch, capfd):
    with staged(ADDRESS) as folder:
        (folder / "config.json").write_text("{}")
        with pytest.raises(
            InputError, match=rf"--workdir: process {os.getpid()} on .* is writing to"
        ):
            Ownership(there())
    assert [*there().facts()] == ["config.json"]
    err = capfd.readouterr().err
    assert f"belongs to process {os.getpid()}" in err
    assert f"0.0 MB uploaded to {ADDRESS}" in err


def test_the_workdir_of_an_owner_that_is_gone_is_taken_over(quick):
    first = Ownership(there())
    second = Ownership(there())
    first.renew()
    second.renew()
    assert (first.is_lost, second.is_lost) == (True, False)
    first.release()
    assert [*there().facts()] == ["progress/owner-000002.json"]
    second.release()
    assert not there().facts()


def test_a_process_of_this_machine_that_has_ended_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(ownership.time, "sleep", lambda _: pytest.fail("waits"))
    ended = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, check=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: int(ended.stdout))
        Ownership(there())
    Ownership(there())


def test_one_of_several_that_take_over_at_once_has_the_workdir(quick):
    Ownership(there())
    won = []

    def take():
        try:
            owner = Ownership(there())
        except InputError:
            return
        won.append(owner)
        for _ in range(40):
            owner.renew()
            threading.Event().wait(0.02)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in won if not one.is_lost]) == 1


def test_a_run_whose_workdir_was_taken_uploads_nothing_more(quick, monkeypatch):
    ends = []
    monkeypatch.setattr(os, "kill", lambda *args: ends.append(args))

    def run():
        with staged(ADDRESS) as folder:
            there().create("progress/owner-000002.json", b"{}")
            wait_until(lambda: ends)
            (folder / "progress").mkdir(exist_ok=True)
            (folder / "progress/layer_00000.npz").write_bytes(b"of this run")
            threading.Event().wait(0.2)  # for more than the pause between uploads
            (folder / "report.json").write_text("{}")

    with pytest.raises(
        InputError, match=f"another run has {ADDRESS}; the results of this"
    ) as error:
        run()
    uploaded = there().facts().keys()
    assert not uploaded & {"report.json", "progress/layer_00000.npz"}
    assert Path(str(error.value).rpartition(" ")[2]).is_dir()


# Addresses and errors.


def test_addresses_and_paths():
    addresses = ("s3://b/x", "gs://b/x", "ftp://b", "s3:/b/x", "S3://b", "Gs:/b")
    paths = ("s3", "s3:b/x", "s3/b", "./s3:/b", "data:/b", "/s3://b", "C:/b")
    assert [text for text in (*addresses, *paths) if is_address(text)] == [*addresses]


@pytest.mark.parametrize(("address", "meant"), [("s3:/b", "s3://b"), ("GS:/b/x/y", "gs://b/x/y")])
def test_a_workdir_that_is_meant_as_an_address_is_refused_at_the_start(address, meant, tmp_path):
    message = rf"^--workdir: got '{address}'; expected .*\(did you mean {meant}\?\)$"
    with pytest.raises(InputError, match=message):
        parse(["prune", "--config=nano", f"--workdir={address}"], flags.FlagValues())
    with pytest.raises(InputError, match=rf"\(did you mean {meant}\?\)$"):
        local_path(address)


@pytest.mark.parametrize(
    "address", ["s3://bucket", "s3://", "ftp://b/x", "s3://b//x", "s3://b/../x", "memory://b/."]
)
def test_addresses_that_are_refused(address):
    with pytest.raises(
        InputError, match=r"--workdir: got .*; expected a folder, s3://BUCKET/PREFIX or"
    ):
        Store(address, "--workdir")


def test_a_store_without_its_package_names_the_extra(monkeypatch):
    def missing(*_, **__):
        raise ImportError

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(
        InputError, match=r"s3:// needs a package; run pip install 'jaxprune\[s3\]'"
    ):
        Store("s3://b/x", "--workdir")


def test_a_download_that_fails_leaves_nothing_here(copies, memory, monkeypatch):
    def download(*_):
        raise OSError("Connection reset")

    memory.pipe_file("bucket/runs/one/config.json", b"{}")
    monkeypatch.setattr(Store, "download", download)
    with pytest.raises(OSError, match="Connection reset"), staged(ADDRESS):
        pass
    assert not [*copies.iterdir()]
    assert [*there().facts()] == ["config.json"]


def test_a_store_that_fails_for_a_while_is_tried_again(quick, monkeypatch, capfd):
    real, fails = Store.upload, [OSError("Reduce your request rate")] * 3

    def upload(self, file, name):
        if fails:
            raise fails.pop()
        real(self, file, name)

    monkeypatch.setattr(Store, "upload", upload)
    with staged(ADDRESS) as folder:
        (folder / "config.json").write_text("{}")
        wait_until(lambda: not fails)  # the thread fails three times
    assert "config.json" in there().facts()
    assert capfd.readouterr().err.count("workdir: Reduce your request rate; tries again") == 1


def test_a_store_that_fails_to_the_end_leaves_the_results_here(quick, monkeypatch):
    def upload(*_):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(Store, "upload", upload)

    def run():
        with staged(ADDRESS) as folder:
            (folder / "config.json").write_text("{}")

    with pytest.raises(InputError, match=f"{ADDRESS}: Access Denied; the results of this") as error:
        run()
    assert (Path(str(error.value).rpartition(" ")[2]) / "config.json").is_file()


# Reading from buckets.


def test_a_folder_is_downloaded_once_and_what_changed_again(cache, memory, monkeypatch):
    downloads = noted(monkeypatch, "download")
    for name, text in (("fr.txt", b"un"), ("deep/sw.txt", b"moja"), ("en.txt", b"one")):
        memory.pipe_file(f"bucket/texts/{name}", text)
    folder = local_path("memory://bucket/texts")
    assert local_path("memory://bucket/texts") == folder
    assert folder.name == "texts"
    assert contents(folder) == {"deep/sw.txt": b"moja", "en.txt": b"one", "fr.txt": b"un"}
    memory.pipe_file("bucket/texts/fr.txt", b"deux")
    memory.rm_file("bucket/texts/en.txt")
    places._downloaded.cache_clear()
    (folder / "fr.txt").write_bytes(b"half")  # a download that stopped
    after = {"deep/sw.txt": b"moja", "fr.txt": b"deux"}
    assert contents(local_path("memory://bucket/texts")) == after
    names = [{*names} for names, _ in downloads]
    assert names == [{"fr.txt", "deep/sw.txt", "en.txt"}, {"fr.txt"}]


def test_files_of_a_download_that_stopped_are_removed_with_their_objects(
    cache, memory, monkeypatch
):
    for name in ("fr.txt", "sw.txt"):
        memory.pipe_file(f"bucket/texts/{name}", name.encode())

    def stops(self, names, folder):
        (folder / "fr.txt").write_bytes(b"fr.txt")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "download", stops)
        with pytest.raises(KeyboardInterrupt):
            local_path("memory://bucket/texts")
    memory.rm_file("bucket/texts/fr.txt")
    places._downloaded.cache_clear()
    assert contents(local_path("memory://bucket/texts")) == {"sw.txt": b"sw.txt"}


def test_objects_whose_names_are_no_files_are_refused(cache, memory):
    memory.pipe_file("bucket/texts/a", b"a")
    memory.store["/bucket/texts/../../x"] = memory.store["/bucket/texts/a"]
    with pytest.raises(
        InputError, match=r"memory://bucket/texts: broken, '\.\./\.\./x' is no file"
    ):
        local_path("memory://bucket/texts")


def test_paths_of_this_machine_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_path("~/x") == tmp_path / "x"
    assert local_path(tmp_path) == tmp_path


# Models in buckets.


@pytest.fixture
def stored(cache, memory):
    """A store in memory with a model."""
    upload(memory, BLOOM)
    return memory


def upload(fs, folder):
    for file in folder.iterdir():
        fs.pipe_file(f"bucket/model/{file.name}", file.read_bytes())


def equal(one, other):
    return one.dtype == other.dtype and np.array_equal(one, other)


def test_a_model_is_the_one_of_its_bytes(stored):
    there, here = jp.load(MODEL), jp.load(BLOOM)
    assert jax.tree.all(jax.tree.map(equal, there.params, here.params))
    assert there.tokenizer_digest == here.tokenizer_digest
    assert there.source.fingerprint.digest == here.source.fingerprint.digest


def test_an_object_that_changes_is_another_model(stored):
    first = jp.load(MODEL)
    digest = first.source.fingerprint.digest
    places._downloaded.cache_clear()
    assert jp.load(MODEL).source.fingerprint.digest == digest
    weights = (BLOOM / "model.safetensors").read_bytes()
    stored.pipe_file("bucket/model/model.safetensors", weights[:-1] + b"\1")
    places._downloaded.cache_clear()
    assert jp.load(MODEL).source.fingerprint.digest != digest
    with pytest.raises(InputError, match=r"model\.safetensors: changed while it was read"):
        first.source.fingerprint.check_unchanged()


def test_only_files_that_are_used_are_downloaded_beside_safetensors(stored):
    stored.pipe_file("bucket/model/pytorch_model.bin", b"the same weights")
    stored.pipe_file("bucket/model/LICENSE", b"terms")
    assert {file.name for file in jp.load(MODEL).folder.iterdir()} == {
        "LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    places._downloaded.cache_clear()
    stored.rm_file("bucket/model/model.safetensors")
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        jp.load(MODEL)


def test_models_of_this_package_are_downloaded_whole(stored, tmp_path):
    model = jp.load("nano/bloom")
    jp.export_hf(model, model.params, tmp_path / "hf")
    upload(stored, tmp_path / "hf")
    there, here = jp.load(MODEL), jp.load(tmp_path / "hf")
    assert there.source.fingerprint.digest == here.source.fingerprint.digest
