"""A model's digest is that of its bytes, and what is kept of a file is taken for true while it did not change."""

import hashlib
import os
import shutil
import time

import pytest

from jaxprune.base.errors import InputError
from jaxprune.hf import fingerprint as module
from jaxprune.hf.fingerprint import Fingerprint, states_in
from jaxprune.hf.model import load


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_TICK", 0.05)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"weights")
    return file


def digest(file):
    return Fingerprint.of([file]).digests[file.name]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_file_is_read_once_until_it_changes(file, monkeypatch):
    time.sleep(0.1)
    assert digest(file) == sha256(b"weights")
    with monkeypatch.context() as patch:
        patch.setattr(module.manifest, "file_facts", None)  # not read again
        assert digest(file) == sha256(b"weights")
    state = file.stat()
    file.write_bytes(b"Weights")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert digest(file) == sha256(b"Weights")


def test_a_young_file_is_not_kept(file, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_TICK", 60)
    assert digest(file) == sha256(b"weights")
    assert not (tmp_path / "cache").exists()


def test_a_damaged_entry_or_no_place_for_one_changes_nothing(file, tmp_path, monkeypatch):
    time.sleep(0.1)
    assert digest(file) == sha256(b"weights")
    [entry] = (tmp_path / "cache").rglob("*.json")
    entry.write_text('{"state": 1}')
    assert digest(file) == sha256(b"weights")
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert digest(file) == sha256(b"weights")


@pytest.mark.parametrize("why", ["it may not be read", "the user has no home"])
def test_no_way_to_the_cache_changes_nothing(why, file, monkeypatch):
    time.sleep(0.1)
    if why == "the user has no home":
        monkeypatch.delenv("XDG_CACHE_HOME")
        monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    else:
        refused = PermissionError(13, "Permission denied")
        monkeypatch.setattr(module, "read_json", lambda *_: (_ for _ in ()).throw(refused))
        monkeypatch.setattr(module, "write_json", lambda *_: (_ for _ in ()).throw(refused))
    assert digest(file) == sha256(b"weights")


def test_changes_since_are_named(file):
    made = Fingerprint.of([file])
    made.check_unchanged()
    file.write_bytes(b"weightS")
    with pytest.raises(InputError, match=r"model\.safetensors: changed while it was read"):
        made.check_unchanged()


def test_what_was_opened_before_must_be_the_same_now_and_later(file):
    beside = file.with_name("tokenizer.json")
    beside.write_text("{}")
    opened = states_in(file.parent, ["*.safetensors", "*.json"])
    made = Fingerprint.of([file], opened)
    assert made.digest == Fingerprint.of([file]).digest
    beside.write_text("[]")
    with pytest.raises(InputError, match=r"tokenizer\.json: changed while it was read"):
        made.check_unchanged()
    with pytest.raises(InputError, match=r"tokenizer\.json: changed while it was read"):
        Fingerprint.of([file], opened)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_refuses_what_changed_between_its_opening_and_its_digest(name, tiny_folder, tmp_path):
    folder = shutil.copytree(tiny_folder("gpt2"), tmp_path / "model")
    model = load(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content)  # the same, but nobody can know
    with pytest.raises(InputError, match=f"{name}: changed while it was read"):
        model.source.fingerprint  # noqa: B018
    assert load(folder).source.fingerprint.digests[name] == sha256(content)
