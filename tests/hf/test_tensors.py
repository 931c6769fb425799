import json
import os
import tracemalloc

import huggingface_hub
import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from jaxprune.errors import InputError
from jaxprune.hf import tensors
from jaxprune.hf.safetensors_header import header_bytes
from jaxprune.hf.tensor_index import file_inside
from jaxprune.hf.tensors import ShardWriter, TensorFiles

BF16 = np.dtype(ml_dtypes.bfloat16)
INDEX = "model.safetensors.index.json"


def random(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def bits(array):
    return array.shape, array.dtype, array.tobytes()


@pytest.fixture
def read_bytes(monkeypatch):
    """How many bytes of data each read took since the start of the test."""
    sizes = []
    fill = tensors._fill

    def counted(path, pieces):
        def count():
            for offset, out in pieces:
                sizes.append(out.nbytes)
                yield offset, out

        fill(path, count())

    monkeypatch.setattr(tensors, "_fill", counted)
    return sizes


@pytest.fixture
def table(tmp_path):
    array = random((500, 6), BF16)
    safetensors.numpy.save_file({"before": random(7), "table": array}, tmp_path / tensors.SINGLE)
    return TensorFiles.open(tmp_path), array


@pytest.fixture(scope="module", params=["safetensors", "bin"])
def sharded(request, tmp_path_factory):
    """A checkpoint in several files as huggingface_hub writes it, and its tensors."""
    folder = tmp_path_factory.mktemp("sharded")
    torch.manual_seed(0)
    state = {f"h.{i}.weight": torch.randn(20, 10).to(dtype) for i, dtype in enumerate(
        [torch.float32, torch.float16, torch.bfloat16] * 2)}  # fmt: skip
    huggingface_hub.save_torch_state_dict(
        state, folder, max_shard_size=1000, safe_serialization=request.param == "safetensors"
    )
    return folder, state


def test_shards_of_both_kinds(sharded, read_bytes):
    folder, state = sharded
    files = TensorFiles.open(folder)
    assert files.folder == folder
    assert set(files.names) == set(state)
    assert len({files.info(name).file for name in state}) > 2
    assert "h.0.weight" in files
    assert "h.9.weight" not in files
    assert read_bytes == []
    for name, tensor in state.items():
        array = files.read(name)
        assert array.nbytes == tensor.nbytes
        np.testing.assert_array_equal(array.astype(np.float32), tensor.float().numpy())
    assert read_bytes == [tensor.nbytes for tensor in state.values()]


def test_safetensors_come_before_bin(tmp_path):
    torch.save({"old": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert TensorFiles.open(tmp_path).names == ("old",)
    safetensors.numpy.save_file({"new": np.zeros(1)}, tmp_path / "model.safetensors")
    assert TensorFiles.open(tmp_path).names == ("new",)


@given(indices=st.lists(st.integers(0, 499), max_size=60))
def test_rows_equal_indexing(tmp_path_factory, indices):
    folder = tmp_path_factory.getbasetemp() / "rows"
    array = random((500, 6), BF16)
    if not folder.exists():
        folder.mkdir()
        safetensors.numpy.save_file({"table": array}, folder / tensors.SINGLE)
    rows = TensorFiles.open(folder).rows("table", np.array(indices, np.int32))
    assert bits(rows) == bits(array[np.array(indices, int)])


def test_rows_read_each_wanted_row_once_and_nothing_else(table, read_bytes):
    files, array = table
    indices = np.array([40, 3, 4, 5, 3, 499, 41])
    np.testing.assert_array_equal(files.rows("table", indices), array[indices])
    assert read_bytes == [3 * 12, 2 * 12, 12]  # neighbours together
    read_bytes.clear()
    np.testing.assert_array_equal(files.rows("table", np.arange(500)), array)
    assert read_bytes == [500 * 12]


def test_rows_that_are_not_there(table):
    files, _ = table
    for index in (-1, 500):
        with pytest.raises(InputError, match="'table' has 500 rows"):
            files.rows("table", np.array([0, index]))
    with pytest.raises(InputError, match="no tensor 'chair'"):
        files.rows("chair", np.array([0]))


def test_a_huge_file_is_opened_and_read_in_part(tmp_path):
    shape = (1 << 24, 1024)  # 64 GB, a hole on the disk
    head = header_bytes({"table": (shape, np.dtype(np.float32))})
    path = tmp_path / "model.safetensors"
    path.write_bytes(head)
    os.truncate(path, len(head) + 4 * shape[0] * shape[1])
    with path.open("rb+") as file:
        file.seek(len(head) + 4096 * 9_999_999)
        file.write(np.arange(1024, dtype=np.float32).tobytes())
    tracemalloc.start()
    rows = TensorFiles.open(tmp_path).rows("table", np.array([3, 9_999_999]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(rows, [np.zeros(1024), np.arange(1024)])
    assert peak < 1 << 20


def test_reads_are_fresh_and_do_not_reach_the_file(table):
    files, array = table
    files.read("table")[:] = 0
    np.testing.assert_array_equal(files.read("table"), array)


def test_a_file_cut_after_it_was_opened(table):
    files, _ = table
    path = files.info("table").file
    os.truncate(path, path.stat().st_size - 1)
    for read in (files.read, lambda name: files.rows(name, np.array([499]))):
        with pytest.raises(InputError, match="it was longer when it was opened"):
            read("table")


@pytest.fixture
def two_shards(tmp_path):
    for shard, name in (("a", "x"), ("b", "y")):
        safetensors.numpy.save_file({name: np.ones(3)}, tmp_path / f"{shard}.safetensors")

    def write(weight_map):
        (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        return tmp_path

    return write


def test_an_index_that_agrees(two_shards):
    files = TensorFiles.open(two_shards({"y": "b.safetensors", "x": "a.safetensors"}))
    assert files.names == ("y", "x")


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"x": "a.safetensors", "z": "c.safetensors"}, "c.safetensors is missing; .*'z' there"),
        ({"x": "a.safetensors", "z": "a.safetensors"}, "a.safetensors: has no tensor 'z', which"),
        ({"x": "b.safetensors", "y": "a.safetensors"}, "b.safetensors: has no tensor 'x'"),
        ({"x": "../a.safetensors"}, "'x' in '../a.safetensors'; must be the plain name"),
        ({"x": "/a.safetensors"}, "'x' in '/a.safetensors'; must be the plain name"),
        ({"x": "sub/a.safetensors"}, "must be the plain name"),
        ({"x": "a.bin"}, "must be the plain name of a .safetensors file"),
        ({"x": "a\n.safetensors"}, "must be the plain name"),
        ({"x": "a" * 3000 + ".safetensors"}, r"'x' in 'a{120}…'; must be the plain name"),
        ({"x": "\ud800.safetensors"}, "no valid JSON .*surrogates not allowed"),
        ({"x": 3}, "'x' in a value of type int; must be the plain name"),
        ({}, "must have a weight_map"),
        ([], "must have a weight_map"),
    ],
)
def test_an_index_that_does_not_agree(two_shards, weight_map, message):
    folder = two_shards(weight_map)
    with pytest.raises(InputError, match=message) as error:
        TensorFiles.open(folder)
    assert str(error.value).startswith(str(folder))
    assert "\n" not in str(error.value)


def test_a_tensor_in_two_shards(two_shards):
    folder = two_shards({"x": "a.safetensors", "y": "b.safetensors"})
    safetensors.numpy.save_file({"y": np.ones(3), "x": np.ones(3)}, folder / "b.safetensors")
    with pytest.raises(InputError, match=r"b\.safetensors: tensor 'x' is also in a\.safetensors"):
        TensorFiles.open(folder)


def test_an_index_with_a_key_twice(tmp_path):
    (tmp_path / INDEX).write_text('{"weight_map": {"x": "a.safetensors", "x": "b.safetensors"}}')
    with pytest.raises(InputError, match="key 'x' stands there twice"):
        TensorFiles.open(tmp_path)


@given(st.binary(max_size=100), st.sampled_from([INDEX, "pytorch_model.bin.index.json"]))
def test_noise_as_an_index(tmp_path_factory, noise, name):
    folder = tmp_path_factory.getbasetemp() / f"noise {name}"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(b'{"weight_map": {' + noise)
    with pytest.raises(InputError):
        TensorFiles.open(folder)


def test_no_weights(tmp_path):
    with pytest.raises(InputError, match=r"no weights: none of model\.safetensors"):
        TensorFiles.open(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        TensorFiles.open(tmp_path / "x")
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548\n"
    (tmp_path / "model.safetensors").write_bytes(pointer)
    with pytest.raises(InputError, match="Git LFS pointer"):
        TensorFiles.open(tmp_path)


def test_links(tmp_path):
    blobs, snapshot = tmp_path / "model/blobs", tmp_path / "model/snapshots/abc"
    for folder in (blobs, snapshot, tmp_path / "outside"):
        folder.mkdir(parents=True)
    safetensors.numpy.save_file({"x": np.ones(3)}, blobs / "d3b07384")
    link = snapshot / "model.safetensors"
    link.symlink_to("../../blobs/d3b07384")  # as the hub's cache has it
    assert TensorFiles.open(snapshot).read("x").tolist() == [1, 1, 1]
    for target, message in [
        (tmp_path / "outside/x", "neither a regular file nor a link to one"),
        (tmp_path / "outside", "neither a regular file nor a link to one"),
        (blobs.parent / "secret", "leads out of its folder, to .*secret"),
    ]:
        (blobs.parent / "secret").write_bytes(b"")
        link.unlink()
        link.symlink_to(target)
        with pytest.raises(InputError, match=message):
            TensorFiles.open(snapshot)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(InputError, match="neither a regular file"):
        TensorFiles.open(snapshot)  # and does not wait for a writer
    with pytest.raises(InputError, match="is missing"):
        file_inside(snapshot, "tokenizer.json")


def test_one_shard_becomes_one_file(tmp_path):
    arrays = {
        "odd": np.array([True, False, True]),
        "bfloat": random((3, 5), BF16),
        "half": random(3, np.float16),
        "transposed": random((700, 300)).T,
        "step": random((8, 6, 4))[::2, 1:],
        "vector": random(9)[::-1],
        "scalar": np.float32(2.5).reshape(()),
        "empty": np.zeros((0, 4), np.float32),
    }
    writer = ShardWriter(tmp_path / "new" / "hf")
    writer.write(arrays)
    assert not list(writer.folder.glob("*.safetensors"))  # nothing looks finished
    writer.close()
    assert [path.name for path in writer.folder.iterdir()] == ["model.safetensors"]
    path = writer.folder / "model.safetensors"
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
    loaded = safetensors.numpy.load_file(path)
    assert {name: bits(array) for name, array in loaded.items()} == {
        name: bits(array) for name, array in arrays.items()
    }
    files = TensorFiles.open(writer.folder)
    for name in files.names:
        assert files.info(name).offset % files.info(name).dtype.itemsize == 0
        assert bits(files.read(name)) == bits(arrays[name])
    assert torch.equal(
        safetensors.torch.load_file(path)["bfloat"].float(),
        torch.from_numpy(arrays["bfloat"].astype(np.float32)),
    )


def test_large_transposed_arrays_are_laid_out_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(tensors, "_CHUNK", 1 << 20)
    array = np.asfortranarray(random((2000, 3000)))
    tracemalloc.start()
    writer = ShardWriter(tmp_path)
    writer.write({"x": array})
    writer.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 << 20  # the array has 24 MB
    np.testing.assert_array_equal(TensorFiles.open(tmp_path).read("x"), array)


def test_several_shards_and_their_index(tmp_path, sharded):
    source, state = sharded
    files = TensorFiles.open(source)
    writer = ShardWriter(tmp_path)
    writer.copy(files, {"h.0.weight": "embed.weight", "h.1.weight": "head.weight"})
    writer.write({"block.0": random((4, 3)), "block.1": random(4, BF16)})
    writer.copy(files, {"h.2.weight": "norm.weight"})
    with pytest.raises(InputError, match="no weights"):
        TensorFiles.open(tmp_path)
    writer.close()
    shards = [f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*shards, INDEX])
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"] == {"total_size": 800 + 400 + 48 + 8 + 400}
    weight_map = index["weight_map"]
    assert list(weight_map) == sorted(weight_map)
    assert weight_map["norm.weight"] == shards[2]
    loaded = {}
    for shard in shards:
        part = safetensors.torch.load_file(tmp_path / shard)
        assert {weight_map[name] for name in part} == {shard}
        loaded.update(part)
    assert set(loaded) == set(weight_map)
    for old, new in [("0", "embed.weight"), ("1", "head.weight"), ("2", "norm.weight")]:
        assert loaded[new].dtype == state[f"h.{old}.weight"].dtype
        assert torch.equal(loaded[new], state[f"h.{old}.weight"])


def test_copy_keeps_every_dtype(tmp_path):
    torch.manual_seed(0)
    state = {
        "float": torch.randn(50, 3),
        "half": torch.randn(50).half(),
        "transposed": torch.randn(4, 5).t(),
        "steps": torch.arange(5),
    }
    (tmp_path / "old").mkdir()
    torch.save(state, tmp_path / "old" / "pytorch_model.bin")
    writer = ShardWriter(tmp_path / "new")
    writer.copy(TensorFiles.open(tmp_path / "old"), {name: name for name in state})
    writer.close()
    loaded = safetensors.torch.load_file(tmp_path / "new" / "model.safetensors")
    assert loaded.keys() == state.keys()
    for name, tensor in loaded.items():
        assert tensor.dtype == state[name].dtype
        assert torch.equal(tensor, state[name])


def test_copy_takes_bounded_memory(tmp_path):
    array = random((6000, 1024))  # 24.6 MB, so two pieces of 16 MiB
    safetensors.numpy.save_file({"x": array}, tmp_path / "model.safetensors")
    head = header_bytes({"x": ((32_000, 1024), np.dtype(np.float32))})
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "model.safetensors").write_bytes(head)
    os.truncate(tmp_path / "big" / "model.safetensors", len(head) + 4 * 32_000 * 1024)
    peaks = []
    for folder in (tmp_path, tmp_path / "big"):
        files, writer = TensorFiles.open(folder), ShardWriter(folder / "new")
        tracemalloc.start()
        writer.copy(files, {"x": "y"})
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        writer.close()
    assert max(peaks) < 48 << 20  # the large tensor has 131 MB
    copied = TensorFiles.open(tmp_path / "new").read("y")
    np.testing.assert_array_equal(copied, array)


def test_writer_refuses_misuse(tmp_path):
    writer = ShardWriter(tmp_path)
    with pytest.raises(ValueError, match="nothing to close"):
        writer.close()
    writer.write({"x": np.ones(3)})
    with pytest.raises(ValueError, match="'x' was already written"):
        writer.write({"y": np.ones(3), "x": np.ones(3)})
    with pytest.raises(InputError, match="already there; export into an empty folder"):
        ShardWriter(tmp_path)
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write({"z": np.ones(3)})
    with pytest.raises(InputError, match="already there; export into an empty folder"):
        ShardWriter(tmp_path)
    other, files = ShardWriter(tmp_path / "b"), TensorFiles.open(tmp_path)
    with pytest.raises(InputError, match="no tensor 'q'"):
        other.copy(files, {"q": "q"})
    with pytest.raises(ValueError, match="to one name"):
        other.copy(files, {"x": "new", "q": "new"})


def test_reading_the_folder_that_is_written_elsewhere(tmp_path):
    """An export of an export is the same bytes: the order of tensors and the header are stable."""
    for source, target in (("0", "1"), ("1", "2")):
        writer = ShardWriter(tmp_path / target)
        if source == "0":
            writer.write({"b": random(3), "a": random((2, 2), BF16), "c": random((3, 3))})
        else:
            files = TensorFiles.open(tmp_path / source)
            writer.copy(files, {name: name for name in files.names})
        writer.close()
    first, second = (tmp_path / name / "model.safetensors" for name in "12")
    assert first.read_bytes() == second.read_bytes()
