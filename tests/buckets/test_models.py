"""Models in buckets are downloaded to the user's cache."""

from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import places, store

ADDRESS = "memory://bucket/model"
BLOOM = Path(jp.__file__).parent / "nano/checkpoints/bloom"


@pytest.fixture
def memory(cache, monkeypatch):
    """A store in memory with a model."""
    monkeypatch.setitem(store._EXTRAS, "memory", "memory")
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    upload(fs, BLOOM)
    return fs


def upload(fs, folder):
    for file in folder.iterdir():
        fs.pipe_file(f"bucket/model/{file.name}", file.read_bytes())


def equal(one, other):
    return one.dtype == other.dtype and np.array_equal(one, other)


def test_a_model_is_the_one_of_its_bytes(memory):
    there, here = jp.load(ADDRESS), jp.load(BLOOM)
    assert jax.tree.all(jax.tree.map(equal, there.params, here.params))
    assert there.tokenizer_digest == here.tokenizer_digest
    assert there.source.fingerprint.digest == here.source.fingerprint.digest


def test_an_object_that_changes_is_another_model(memory):
    first = jp.load(ADDRESS)
    digest = first.source.fingerprint.digest
    places._downloaded.cache_clear()
    assert jp.load(ADDRESS).source.fingerprint.digest == digest
    weights = bytearray((BLOOM / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    memory.pipe_file("bucket/model/model.safetensors", bytes(weights))
    places._downloaded.cache_clear()
    assert jp.load(ADDRESS).source.fingerprint.digest != digest
    with pytest.raises(InputError, match=r"model\.safetensors: changed while it was read"):
        first.source.fingerprint.check_unchanged()


def test_only_files_that_are_used_are_downloaded_beside_safetensors(memory):
    memory.pipe_file("bucket/model/pytorch_model.bin", b"the same weights")
    memory.pipe_file("bucket/model/LICENSE", b"terms")
    assert {file.name for file in jp.load(ADDRESS).folder.iterdir()} == {
        "LICENSE", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    places._downloaded.cache_clear()
    memory.rm_file("bucket/model/model.safetensors")
    with pytest.raises(InputError, match=r"pytorch_model\.bin"):
        jp.load(ADDRESS)


def test_models_of_this_package_are_downloaded_whole(memory, tmp_path):
    model = jp.load("nano/bloom")
    jp.export_hf(model, model.params, tmp_path / "hf")
    upload(memory, tmp_path / "hf")
    there, here = jp.load(ADDRESS), jp.load(tmp_path / "hf")
    assert there.source.fingerprint.digest == here.source.fingerprint.digest
