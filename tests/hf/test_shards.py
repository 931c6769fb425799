"""What ShardWriter writes, read by safetensors and cut as huggingface_hub cuts it."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxprune.hf import shards
from jaxprune.hf.safetensors_header import file_header
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.tensor_index import INDEX, find_tensors

BF16 = np.dtype(ml_dtypes.bfloat16)


def random(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def bits(array):
    return array.shape, array.dtype, array.tobytes()


def specs(arrays):
    return {name: (array.shape, array.dtype) for name, array in arrays.items()}


def copied(source, target):
    """A checkpoint with the tensors of another one under their names, piece by piece."""
    files = find_tensors(source)
    writer = ShardWriter(target, specs(files))
    for name, tensor in files.items():
        writer.write_chunks(name, tensor.shape, tensor.dtype, tensor.chunks())
    writer.close()


def test_what_fits_becomes_one_file(tmp_path):
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
    writer = ShardWriter(tmp_path / "new" / "hf", specs(arrays))
    for name in reversed(arrays):  # in any order
        writer.write({name: arrays[name]})
    writer.close()
    assert [path.name for path in writer.folder.iterdir()] == ["model.safetensors"]
    path = writer.folder / "model.safetensors"
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt"}
    loaded = safetensors.numpy.load_file(path)
    assert {name: bits(array) for name, array in loaded.items()} == {
        name: bits(array) for name, array in arrays.items()
    }
    files = find_tensors(writer.folder)
    for name in files:
        assert files[name].offset % files[name].dtype.itemsize == 0
        assert bits(files[name].read()) == bits(arrays[name])
    assert torch.equal(
        safetensors.torch.load_file(path)["bfloat"].float(),
        torch.from_numpy(arrays["bfloat"].astype(np.float32)),
    )


def test_large_transposed_arrays_are_laid_out_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_CHUNK", 1 << 20)
    array = np.asfortranarray(random((2000, 3000)))
    tracemalloc.start()
    writer = ShardWriter(tmp_path, specs({"x": array}))
    writer.write({"x": array})
    writer.close()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 << 20  # the array has 24 MB
    np.testing.assert_array_equal(find_tensors(tmp_path)["x"].read(), array)


sizes = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@given(sizes, st.integers(240, 500))
@settings(deadline=None, max_examples=25)
def test_shards_are_cut_as_huggingface_hub_cuts_them(tmp_path_factory, rows, largest):
    """Where no tensor is larger than a shard: such a tensor's file it puts before the one that it has begun."""
    folder = tmp_path_factory.mktemp("cut")
    state = {f"x{i}": torch.full((n, 1), float(i)) for i, n in enumerate(rows)}
    want = huggingface_hub.split_torch_state_dict_into_shards(state, max_shard_size=largest)
    arrays = {name: value.numpy() for name, value in state.items()}
    writer = ShardWriter(folder, specs(arrays), largest)
    for name in np.random.default_rng(0).permutation(list(arrays)):
        writer.write({str(name): arrays[name]})
    writer.close()
    files = {path.name: path for path in folder.glob("*.safetensors")}
    assert {name: sorted(safetensors.numpy.load_file(path)) for name, path in files.items()} == {
        name: sorted(names) for name, names in want.filename_to_tensors.items()
    }
    if want.is_sharded:
        index = json.loads((folder / INDEX).read_text())
        assert index == {"metadata": want.metadata, "weight_map": want.tensor_to_filename}
        assert list(index["weight_map"]) == sorted(arrays)
    else:
        assert not (folder / INDEX).exists()
    for path in files.values():
        for name, array in safetensors.numpy.load_file(path).items():
            assert bits(array) == bits(arrays[name])


def test_a_tensor_that_is_larger_than_a_shard_has_one_of_its_own(tmp_path):
    arrays = {"a": random(3), "b": random(40), "c": random(3), "d": random(3)}
    writer = ShardWriter(tmp_path, specs(arrays), 24)  # "c" and "d" fill one
    writer.write(arrays)
    writer.close()
    weight_map = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    assert weight_map == {
        name: f"model-0000{i}-of-00003.safetensors"
        for name, i in zip("abcd", (1, 2, 3, 3), strict=True)
    }
    files = find_tensors(tmp_path)
    assert {name: bits(files[name].read()) for name in files} == {
        name: bits(array) for name, array in arrays.items()
    }


def test_copy_takes_bounded_memory(tmp_path):
    array = random((6000, 1024))  # 24.6 MB, so two pieces of 16 MiB
    safetensors.numpy.save_file({"x": array}, tmp_path / "model.safetensors")
    head, _ = file_header({"x": ((32_000, 1024), np.dtype(np.float32))})
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "model.safetensors").write_bytes(head)
    os.truncate(tmp_path / "big" / "model.safetensors", len(head) + 4 * 32_000 * 1024)
    peaks = []
    for folder in (tmp_path, tmp_path / "big"):
        tracemalloc.start()
        copied(folder, folder / "new")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 48 << 20  # the large tensor has 131 MB
    np.testing.assert_array_equal(find_tensors(tmp_path / "new")["x"].read(), array)


def test_writer_refuses_misuse(tmp_path):
    three = {"x": np.ones(3), "y": np.ones(3)}
    writer = ShardWriter(tmp_path, specs(three))
    writer.write({"x": np.ones(3)})
    with pytest.raises(ValueError, match="tensor 'y' was not written"):
        writer.close()
    for other in (np.ones(4), np.ones((3, 1)), np.ones(3, np.float32)):
        with pytest.raises(ValueError, match=r"tensor 'y' is float.*; expected"):
            writer.write({"y": other})
    writer.write({"y": np.ones(3)})
    writer.close()
