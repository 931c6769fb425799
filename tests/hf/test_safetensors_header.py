import json
import struct

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from jaxprune.errors import InputError
from jaxprune.hf.safetensors_header import header_bytes, read_header
from jaxprune.hf.tensors import TensorFiles

F32 = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
U8 = {"dtype": "U8", "shape": [5], "data_offsets": [24, 29]}


def save(folder, header, body=bytes(29), length=None):
    """A safetensors file from a header: a dict, or raw bytes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
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
    files = TensorFiles.open(tmp_path)
    assert set(files.names) == set(arrays)
    for name, array in arrays.items():
        info = files.info(name)
        assert (info.shape, info.dtype, info.nbytes) == (array.shape, array.dtype, array.nbytes)
        np.testing.assert_array_equal(files.read(name), array)


def test_header_bytes_are_what_the_library_reads(tmp_path):
    specs = {"a": ((2, 3), np.dtype(np.float32)), "b": ((), np.dtype(ml_dtypes.bfloat16))}
    head = header_bytes(specs)
    assert len(head) % 64 == 0
    path = tmp_path / "x.safetensors"
    path.write_bytes(head + bytes(26))
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}
        assert file.get_slice("a").get_shape() == [2, 3]
        assert file.get_slice("b").get_dtype() == "BF16"
    assert [(i.shape, i.dtype) for i in read_header(path).values()] == list(specs.values())
    with pytest.raises(InputError, match="'c': safetensors has no dtype for complex64"):
        header_bytes({"c": ((1,), np.dtype(np.complex64))})


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"a": F32}, "accounts for [0-9]+ only"),
        ({"a": F32, "b": {**U8, "data_offsets": [23, 28]}}, "'b' begins at byte .* ends at"),
        ({"a": F32, "b": {**U8, "shape": [4], "data_offsets": [25, 29]}}, "'b' begins at byte"),
        ({"a": F32, "b": {**U8, "shape": [6]}}, "'b': data_offsets span 5 .* need 6"),
        ({"a": F32, "b": {**U8, "data_offsets": [29, 24]}}, "'b': data_offsets span -5"),
        ({"a": F32, "b": {**U8, "data_offsets": [24, 29.0]}}, "'b': data_offsets must be two"),
        ({"a": F32, "b": {**U8, "data_offsets": [24]}}, "'b': data_offsets must be two"),
        ({"a": F32, "b": {**U8, "shape": [-5]}}, "'b': its shape must be"),
        ({"a": F32, "b": {**U8, "shape": [True, 5]}}, "'b': its shape must be"),
        ({"a": F32, "b": {**U8, "shape": 5}}, "'b': its shape must be"),
        ({"a": F32, "b": {**U8, "shape": [2**33, 2**33]}}, "'b': absurd shape"),
        ({"a": F32, "b": {**U8, "shape": [2**61, 2**61, 0]}}, "'b': absurd shape"),
        ({"a": F32, "b": {**U8, "shape": [10**400]}}, "'b': its shape must be"),
        ({"a": F32, "b": {**U8, "shape": [1] * 99 + [5]}}, "'b': absurd shape"),
        ({"a": F32, "b": {**U8, "dtype": "F4"}}, "'b': unknown dtype 'F4'"),
        ({"a": F32, "b": {**U8, "dtype": 8}}, "'b': unknown dtype int"),
        ({"a": F32, "b": {"dtype": "U8", "shape": [5]}}, "'b': its header entry must have"),
        ({"a": F32, "b": None}, "'b': its header entry must have"),
        ({"a": F32, "b\n" * 900: None}, r"'b\\nb\\n.*…': its header entry must have"),
        ([1], "must be a JSON object, is of type list"),
        (b'{"a": 1, "a": 2}', "key 'a' stands there twice"),
        (b'{"a": {"dtype": "U8", "dtype": "U8"}}', "key 'dtype' stands there twice"),
        ({"a": F32, "b": U8, "__metadata__": {"format": 1}}, "must map text to text"),
        (b'{"__metadata__": {"format": "\\ud800"}}', "no valid JSON .*surrogates not allowed"),
        (b'{"\\ud800": 1}', "no valid JSON .*surrogates not allowed"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\xff"}', "no valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no valid JSON"),
        (b'{"a": ' + b"[" * 100_000 + b"}", "no valid JSON"),
        (b"", "no valid JSON"),
    ],
)
def test_broken_headers_are_named(tmp_path, header, message):
    path = save(tmp_path, header)
    with pytest.raises(InputError, match=message) as error:
        read_header(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def test_lengths(tmp_path):
    path = save(tmp_path, {}, length=2**63)
    with pytest.raises(InputError, match="promise a header of 9223372036854775808 bytes"):
        read_header(path)
    path = save(tmp_path, {}, length=32)
    with pytest.raises(InputError, match="truncated: 39 bytes, its header alone ends at 40"):
        read_header(path)
    path.write_bytes(b"1234567")
    with pytest.raises(InputError, match="7 bytes, at least 8"):
        read_header(path)


def test_every_truncation_is_refused(place, valid):
    _, data = valid
    path = place / "model.safetensors"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=str(length)):
            read_header(path)
    path.write_bytes(data[:-1])
    expected = f"truncated: {len(data) - 1} bytes, its header promises {len(data)} .tensor 'bool'"
    with pytest.raises(InputError, match=expected):
        read_header(path)


def agrees_with_the_library(path):
    """Either an InputError, or the library accepts the file too and finds the same tensors."""
    try:
        files = TensorFiles.open(path.parent)
    except InputError as error:
        message = str(error)
    else:
        for name, expected in safetensors.deserialize(path.read_bytes()):
            array = files.read(name)
            assert list(array.shape) == expected["shape"]
            assert array.tobytes() == bytes(expected["data"])
        return
    assert message.startswith(str(path))
    assert "\n" not in message


NUMBERS = st.one_of(
    st.integers(0, 40), st.integers(-3, 2**70), st.booleans(), st.floats(), st.none(), st.text()
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "I64", "F4", "", "\ud800", 3]),
        "shape": st.one_of(NUMBERS, st.lists(NUMBERS, max_size=4), st.lists(st.integers(0, 4))),
        "data_offsets": st.one_of(st.lists(st.integers(0, 40), max_size=3), NUMBERS),
    }
)


@given(
    st.dictionaries(st.text(max_size=5), st.one_of(ENTRIES, NUMBERS), max_size=3),
    st.integers(0, 40),
    st.integers(-2, 2),
)
def test_fuzzed_headers(place, header, body, slip):
    text = json.dumps(header).encode()
    agrees_with_the_library(save(place, text, bytes(body), max(0, len(text) + slip)))


@st.composite
def one_tensor(draw):
    """Nearly right: shape and offsets agree, up to one change."""
    shape = draw(st.lists(st.integers(0, 4), max_size=3))
    nbytes = 2 * int(np.prod(shape))
    begin = draw(st.sampled_from([0, 0, 0, 1]))
    entry = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, begin + nbytes]}
    return {"t": entry}, max(0, nbytes + draw(st.sampled_from([0, 0, 0, 1, -1])))


@given(one_tensor())
def test_nearly_right_headers(place, case):
    header, body = case
    agrees_with_the_library(save(place, header, bytes(body)))


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


@given(st.binary(max_size=200))
def test_noise(place, noise):
    path = place / "model.safetensors"
    path.write_bytes(noise)
    agrees_with_the_library(path)
