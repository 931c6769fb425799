"""A model's digest is that of its bytes, and what is kept of a file is taken for true while it did not change."""

import hashlib
import os
import time

import pytest

from jaxprune.errors import InputError
from jaxprune.hf import fingerprint as module
from jaxprune.hf.fingerprint import FileState, Fingerprint


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
        patch.setattr(module.sealed, "file_facts", None)  # not read again
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


def test_changes_since_are_named(file):
    made = Fingerprint.of([file])
    made.check_unchanged()
    file.write_bytes(b"weightS")
    with pytest.raises(InputError, match=r"model\.safetensors: changed while it was read"):
        made.check_unchanged()


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(InputError, match="fifo: not a regular file"):
        FileState.of(tmp_path / "fifo")
