import json
import re
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from jaxprune.base.errors import InputError
from jaxprune.hf.safetensors_header import CODES, file_header, read_header
from jaxprune.hf.tensor_index import find_tensors

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
U8 = {"dtype": "U8", "shape": [5], "data_offsets": [24, 29]}


def save(folder, header, body=bytes(29)):
    """A safetensors file from a header: a dict, or raw bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("header")


@pytest.fixture(scope="module")
def valid():
    arrays = {
        "float": np.arange(6, dtype=np.float32).reshape(2, 3),
        "bfloat": np.arange(4).astype(ml_dtypes.bfloat16),
        "empty": np.zeros((0, 7), np.float16),
        "scalar": np.array(3, np.int64),
        "bool": np.array([True, False, True]),
    }
    return arrays, safetensors.numpy.save(arrays, {"format": "pt"})


def test_reads_what_the_library_wrote(tmp_path, valid):
    arrays, data = valid
    (tmp_path / "model.safetensors").write_bytes(data)
    files = find_tensors(tmp_path)
    assert set(files) == set(arrays)
    for name, array in arrays.items():
        info = files[name]
        assert (info.shape, info.dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(files[name].read(), array)


def test_file_headers_are_what_the_library_reads(tmp_path):
    specs = {"a": ((2, 3), np.dtype(np.float32)), "b": ((), np.dtype(ml_dtypes.bfloat16))}
    head, _ = file_header(specs)
    assert len(head) % 64 == 0
    path = tmp_path / "x.safetensors"
    path.write_bytes(head + bytes(26))
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert file.get_slice("a").get_shape() == [2, 3]
        assert file.get_slice("b").get_dtype() == "BF16"
    assert [(i.shape, i.dtype) for i in read_header(path).values()] == list(specs.values())
    with pytest.raises(InputError, match="'c': safetensors has no dtype for complex64"):
        file_header({"c": ((1,), np.dtype(np.complex64))})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": F32}, "not fully covered"),
        ({"a": F32, "b": {**U8, "dtype": "b\n" * 900}}, r"unknown variant `b\\nb\\n"),
        (
            {"a": F32, "b": {"dtype": "F8_E8M0", "shape": [5], "data_offsets": [24, 29]}},
            "'b': unknown dtype F8_E8M0; known are F64, F32",
        ),
        (b'{"a": ' + b"[" * 100_000 + b"}", "recursion limit"),
        (b"", "EOF while parsing"),
    ],
)
def test_broken_headers_are_named(tmp_path, header, message):
    path = save(tmp_path, header)
    with pytest.raises(InputError, match=message) as error:
        read_header(path)
    assert str(error.value).startswith(str(path))
    assert len(str(error.value)) < 600


def test_every_truncation_is_refused(place, valid):
    _, data = valid
    path = place / "model.safetensors"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=f"truncated or damaged, of {length} bytes"):
            read_header(path)


REFUSED_HERE = re.compile("unknown dtype")  # of which numpy has no arrays


def agrees_with_the_library(path):
    """What the library takes is read as it reads it, what it refuses is an InputError."""
    try:
        theirs = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError:
        theirs = None
    try:
        files = find_tensors(path.parent)
    except InputError as error:
        message = str(error)
        assert message.startswith(str(path))
        assert "\n" not in message
        assert theirs is None or REFUSED_HERE.search(message)
        return
    assert theirs is not None
    assert {name for name, _ in theirs} == set(files)
    for name, expected in theirs:
        array = files[name].read()
        assert list(array.shape) == expected["shape"]
        assert CODES[array.dtype] == expected["dtype"]
        assert array.tobytes() == bytes(expected["data"])


@given(st.data())
def test_flipped_bytes(place, valid, data):
    _, original = valid
    changed = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of the file is header, where every byte counts.
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    path = place / "model.safetensors"
    path.write_bytes(changed)
    agrees_with_the_library(path)


MUTATIONS = st.sampled_from([0, 1, 2, 5, 7, 16, 24, 40, 2**33, -1, "F32", "BF16", "F4", "x", None])


def mutated(draw, entry):
    """An entry with one value of it replaced, or one number in a list."""
    key = draw(st.sampled_from(sorted(entry)))
    value = draw(MUTATIONS)
    if isinstance(entry[key], list) and entry[key] and draw(st.booleans()):
        axis = draw(st.integers(0, len(entry[key]) - 1))
        value = [*entry[key][:axis], value, *entry[key][axis + 1 :]]
    return entry | {key: value}


@given(st.data())
def test_mutated_headers(place, valid, data):
    """Entries of a sound header with values replaced, renamed, there twice or left out."""
    _, original = valid
    (length,) = struct.unpack("<Q", original[:8])
    items = list(json.loads(original[8 : 8 + length]).items())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(items) - 1))
        name, entry = items[at]
        change = data.draw(st.sampled_from(["mutated", "mutated", "renamed", "twice", "left out"]))
        items[at : at + 1] = {
            "mutated": [(name, mutated(data.draw, entry))],
            "renamed": [(data.draw(st.sampled_from(items))[0], entry)],
            "twice": [(name, entry), (name, entry)],
            "left out": [],
        }[change]
    header = ", ".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in items)
    agrees_with_the_library(save(place, f"{{{header}}}".encode(), original[8 + length :]))
