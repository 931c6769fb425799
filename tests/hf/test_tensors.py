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

from jaxprune.base.errors import InputError
from jaxprune.hf import tensors
from jaxprune.hf.safetensors_header import file_header
from jaxprune.hf.tensor_index import SINGLE, find_tensors

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
    safetensors.numpy.save_file({"before": random(7), "table": array}, tmp_path / SINGLE)
    return find_tensors(tmp_path), array


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
    files = find_tensors(folder)
    assert set(files) == set(state)
    assert len({files[name].file for name in state}) > 2
    assert read_bytes == []
    for name, tensor in state.items():
        array = files[name].read()
        assert array.nbytes == tensor.nbytes
        np.testing.assert_array_equal(array.astype(np.float32), tensor.float().numpy())
    assert read_bytes == [tensor.nbytes for tensor in state.values()]


def test_safetensors_come_before_bin(tmp_path):
    torch.save({"old": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert list(find_tensors(tmp_path)) == ["old"]
    safetensors.numpy.save_file({"new": np.zeros(1)}, tmp_path / "model.safetensors")
    assert list(find_tensors(tmp_path)) == ["new"]


def test_rows_read_each_wanted_row_once_and_nothing_else(table, read_bytes):
    files, array = table
    indices = np.array([40, 3, 4, 5, 3, 499, 41])
    np.testing.assert_array_equal(files["table"].rows(indices), array[indices])
    assert read_bytes == [3 * 12, 2 * 12, 12]  # neighbours together
    read_bytes.clear()
    np.testing.assert_array_equal(files["table"].rows(np.arange(500)), array)
    assert read_bytes == [500 * 12]
    assert bits(files["table"].rows(np.array([], np.int32))) == bits(array[:0])


def test_rows_that_are_not_there(table):
    files, _ = table
    for index in (-1, 500):
        with pytest.raises(IndexError, match=r"rows .* of 500"):
            files["table"].rows(np.array([0, index]))


def test_a_huge_file_is_opened_and_read_in_part(tmp_path):
    shape = (1 << 24, 1024)  # 64 GB, a hole on the disk
    head, _ = file_header({"table": (shape, np.dtype(np.float32))})
    path = tmp_path / "model.safetensors"
    path.write_bytes(head)
    os.truncate(path, len(head) + 4 * shape[0] * shape[1])
    with path.open("rb+") as file:
        file.seek(len(head) + 4096 * 9_999_999)
        file.write(np.arange(1024, dtype=np.float32).tobytes())
    tracemalloc.start()
    rows = find_tensors(tmp_path)["table"].rows(np.array([3, 9_999_999]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    np.testing.assert_array_equal(rows, [np.zeros(1024), np.arange(1024)])
    assert peak < 1 << 20


def test_reads_are_fresh_and_do_not_reach_the_file(table):
    files, array = table
    files["table"].read()[:] = 0
    np.testing.assert_array_equal(files["table"].read(), array)


def test_a_file_cut_after_it_was_opened(table):
    files, _ = table
    path = files["table"].file
    os.truncate(path, path.stat().st_size - 1)
    for read in (files["table"].read, lambda: files["table"].rows(np.array([499]))):
        with pytest.raises(InputError, match="it was longer when it was opened"):
            read()


@pytest.fixture
def two_shards(tmp_path):
    for shard, name in (("a", "x"), ("b", "y")):
        safetensors.numpy.save_file({name: np.ones(3)}, tmp_path / f"{shard}.safetensors")

    def write(weight_map):
        (tmp_path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
        return tmp_path

    return write


def test_an_index_that_agrees(two_shards):
    files = find_tensors(two_shards({"y": "b.safetensors", "x": "a.safetensors"}))
    assert list(files) == ["y", "x"]


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({"x": "a.safetensors", "z": "c.safetensors"}, "c.safetensors is missing; .*'z' there"),
        ({"x": "a.safetensors", "z": "a.safetensors"}, "a.safetensors: has no tensor 'z', which"),
        ({"x": "b.safetensors", "y": "a.safetensors"}, "b.safetensors: has no tensor 'x'"),
        ({"x": "../a.safetensors"}, "'x' in '../a.safetensors'; must be the plain name"),
        ({"x": "a.bin"}, "must be the plain name of a .safetensors file"),
        ({"x": "a" * 3000 + ".safetensors"}, r"'x' in 'a{50,70}\.\.\.a+\.safetensors'; must be"),
        ([], "must have a weight_map"),
    ],
)
def test_an_index_that_does_not_agree(two_shards, weight_map, message):
    folder = two_shards(weight_map)
    with pytest.raises(InputError, match=message) as error:
        find_tensors(folder)
    assert str(error.value).startswith(str(folder))


def test_a_tensor_in_two_shards(two_shards):
    folder = two_shards({"x": "a.safetensors", "y": "b.safetensors"})
    safetensors.numpy.save_file({"y": np.ones(3), "x": np.ones(3)}, folder / "b.safetensors")
    with pytest.raises(InputError, match=r"b\.safetensors: tensor 'x' is also in a\.safetensors"):
        find_tensors(folder)


def test_no_weights(tmp_path):
    with pytest.raises(InputError, match=r"no weights: none of model\.safetensors"):
        find_tensors(tmp_path)
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 548\n"
    (tmp_path / "model.safetensors").write_bytes(pointer)
    with pytest.raises(InputError, match="Git LFS pointer"):
        find_tensors(tmp_path)


def test_links_as_the_cache_of_the_hub_has_them(tmp_path):
    blobs, snapshot = tmp_path / "model/blobs", tmp_path / "model/snapshots/abc"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    safetensors.numpy.save_file({"x": np.ones(3)}, blobs / "d3b07384")
    (snapshot / "model.safetensors").symlink_to("../../blobs/d3b07384")
    assert find_tensors(snapshot)["x"].read().tolist() == [1, 1, 1]
    (blobs / "d3b07384").unlink()
    with pytest.raises(InputError, match=r"no weights: none of model\.safetensors"):
        find_tensors(snapshot)
