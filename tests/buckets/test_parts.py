"""Models in buckets, of whose weights only the parts that are read are downloaded."""

from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxprune as jp
from jaxprune.base.errors import InputError
from jaxprune.base.files import objects, places, store

ADDRESS = "memory://bucket/model"
BLOOM = Path(jp.__file__).parent / "nano/checkpoints/bloom"
CHUNK = 100_000


@pytest.fixture
def memory(cache, monkeypatch):
    """A store in memory with a model; `requested` lists the bytes of the parts that were read."""
    monkeypatch.setitem(store._EXTRAS, "memory", "memory")
    monkeypatch.setattr(objects, "_CHUNK", CHUNK)
    fs = fsspec.filesystem("memory")
    fs.store.clear()
    fs.requested, real = [], type(fs).cat_ranges

    def cat_ranges(self, paths, starts, ends, **options):
        fs.requested += [end - start for start, end in zip(starts, ends, strict=True)]
        return real(self, paths, starts, ends, **options)

    monkeypatch.setattr(type(fs), "cat_ranges", cat_ranges)
    upload(fs, BLOOM)
    return fs


def upload(fs, folder):
    for file in folder.iterdir():
        fs.pipe_file(f"bucket/model/{file.name}", file.read_bytes())


def equal(one, other):
    return one.dtype == other.dtype and np.array_equal(one, other)


def size(tree):
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


def test_only_what_is_read_is_downloaded_and_only_once(memory):
    there, here = jp.load(ADDRESS), jp.load(BLOOM)
    assert sum(memory.requested) == CHUNK  # the header
    block = here.block(2)
    assert jax.tree.all(jax.tree.map(equal, there.block(2), block))
    assert size(block) <= sum(memory.requested) <= size(block) + 3 * CHUNK
    assert jax.tree.all(jax.tree.map(equal, there.params, here.params))
    weights = (BLOOM / "model.safetensors").stat().st_size
    assert sum(memory.requested) == weights
    tokens = np.array([[5, 1399, 5], [0, 7, 6]])
    pairs = zip(there.source.embed_rows(tokens), here.source.embed_rows(tokens), strict=True)
    assert all(jax.tree.all(jax.tree.map(equal, one, other)) for one, other in pairs)
    assert equal(there.source.head_rows(tokens[0]), here.source.head_rows(tokens[0]))
    assert there.tokenizer_digest == here.tokenizer_digest
    places._downloaded.cache_clear()
    assert jax.tree.all(jax.tree.map(equal, jp.load(ADDRESS).params, here.params))
    assert sum(memory.requested) == weights
    states = there.source.fingerprint.states
    assert [state.size for path, state in states.items() if path.suffix != ".json"] == [weights]


def test_an_object_that_changes_is_another_model(memory, cache):
    first = jp.load(ADDRESS)
    digest = first.source.fingerprint.digest
    places._downloaded.cache_clear()
    assert jp.load(ADDRESS).source.fingerprint.digest == digest
    memory.pipe_file("bucket/model/model.safetensors", (BLOOM / "model.safetensors").read_bytes())
    with pytest.raises(InputError, match=f"{ADDRESS}/model.safetensors: changed while it was read"):
        first.block(1)
    places._downloaded.cache_clear()
    second = jp.load(ADDRESS)
    assert second.source.fingerprint.digest != digest
    with pytest.raises(InputError, match=r"model\.safetensors: changed while it was read"):
        first.source.fingerprint.check_unchanged()
    assert size(second.block(1)) == size(jp.load(BLOOM).block(1))
    parts = cache / "jaxprune/buckets/parts"
    assert len([*parts.iterdir()]) == 2  # those of the first model are gone


def test_what_is_read_of_an_object_that_changes_meanwhile_is_not_kept(memory, monkeypatch):
    model, weights = jp.load(ADDRESS), (BLOOM / "model.safetensors").read_bytes()
    old, real = memory.store["/bucket/model/model.safetensors"], store.Store.read_ranges

    def changes(self, name, ranges):
        memory.pipe_file("bucket/model/model.safetensors", bytes(len(weights)))
        return real(self, name, ranges)

    with monkeypatch.context() as patch:
        patch.setattr(store.Store, "read_ranges", changes)
        with pytest.raises(InputError, match="changed while it was read"):
            model.block(1)
    memory.store["/bucket/model/model.safetensors"] = old
    assert jax.tree.all(jax.tree.map(equal, model.block(1), jp.load(BLOOM).block(1)))


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
    assert not memory.requested


def test_a_pointer_outside_the_cache_is_no_pointer(memory, tmp_path):
    [pointer] = jp.load(ADDRESS).folder.glob("*.safetensors")
    (tmp_path / "model").mkdir()
    for file in (pointer, pointer.parent / "config.json"):
        (tmp_path / "model" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(InputError, match=r"model\.safetensors: safetensors header: truncated"):
        jp.load(tmp_path / "model")


class Content:
    """A store whose objects all have this content."""

    def __init__(self, content):
        self.content = content

    def read_ranges(self, name, ranges):
        return [self.content[begin:end] for begin, end in ranges]

    def facts(self, name):
        return {name: (len(self.content), "tag")}


@given(st.lists(st.tuples(st.integers(0, 110), st.integers(0, 40)), max_size=5))
def test_any_spans_are_there(spans):
    content = np.random.default_rng(0).integers(1, 256, 100, np.uint8).tobytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_CHUNK", 10)
        patch.setattr(objects, "_AT_ONCE", 3)
        patch.setattr(objects, "_store", lambda _: Content(content))
        pointer = objects.Pointer("memory://bucket/x", "y", 100, "tag")
        pointer.forget()
        for begin, count in spans:
            data = pointer.fetch([(begin, begin + count)]).read_bytes()
            assert data[begin : begin + count] == content[begin : begin + count]
            assert len(data) == 100
        pointer.forget()
