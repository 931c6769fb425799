"""Files of a workdir that something else has written or damaged."""

import struct
import zipfile

import numpy as np
import pytest

from jaxprune.base.errors import InputError
from jaxprune.base.files.arrays import read_npz
from jaxprune.base.files.outside import read_json, read_text

PLAIN = b"{'descr': '|i1', 'fortran_order': False, 'shape': (4,), }\n"
BROKEN = "damaged, or no .npz of plain arrays"


def npz(folder, contents, method=zipfile.ZIP_STORED):
    path = folder / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in contents:
            archive.writestr(name, content)
    return path


def npy(header, body=bytes(4), version=b"\x01\x00"):
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


def refused(path, message):
    with pytest.raises(InputError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_numpy_saved_them(save, tmp_path):
    arrays = {
        "matrix": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.array(3),
        "empty": np.zeros((0, 7), np.float16),
        "bits": np.array([True, False]),
        "text": np.array(["a", "é"]),
        "big-endian": np.arange(3, dtype=">i2"),
    }
    save(tmp_path / "a.npz", **arrays)
    read = read_npz(tmp_path / "a.npz")
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    "member",
    [
        npy(b"(" * 3000),  # numpy raises a TokenError, a RecursionError
        npy(b"-" * 3000 + b"1"),
        npy(PLAIN.replace(b"|i1", b"|O")),
        npy(PLAIN.replace(b"(4,)", b"(-4,)")),
        npy(PLAIN.replace(b"(4,)", b"(5,)")),
        npy(PLAIN.replace(b"(4,)", b"(1099511627776, 1099511627776)")),
        npy(PLAIN.replace(b"(4,)", b"(0, 9223372036854775807, 8)"), b""),
        npy(PLAIN, version=b"\x09\x00"),
    ],
)
def test_members_that_are_no_plain_arrays_are_refused(member, tmp_path):
    refused(npz(tmp_path, [("a.npy", member)]), BROKEN)


@pytest.mark.parametrize("bytes_", [b"", b"text", b"PK\x03\x04"])
def test_other_files_are_refused(bytes_, tmp_path):
    (tmp_path / "a.npz").write_bytes(bytes_)
    refused(tmp_path / "a.npz", BROKEN)
    np.save(tmp_path / "a.npy", np.arange(3))
    refused(tmp_path / "a.npy", BROKEN)


def test_a_damaged_archive_is_refused_or_what_it_was(tmp_path):
    arrays = {"a": np.arange(4), "b": np.ones((3, 3), np.float32)}
    np.savez(tmp_path / "a.npz", **arrays)
    whole = (tmp_path / "a.npz").read_bytes()
    refusals = 0
    for place in range(len(whole)):
        (tmp_path / "a.npz").write_bytes(
            whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        )
        try:
            read = read_npz(tmp_path / "a.npz")
        except InputError:
            refusals += 1
            continue
        for name in arrays.keys() & read.keys():
            np.testing.assert_array_equal(read[name], arrays[name])
    assert refusals > len(whole) / 2
    for length in range(len(whole)):
        (tmp_path / "a.npz").write_bytes(whole[:length])
        refused(tmp_path / "a.npz", BROKEN)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000, "not JSON: maximum recursion depth"),
        ("9" * 5000, "not JSON: Integer value out of range"),
        ('{"a"', "not JSON: Input data was truncated"),
        ('{"a": NaN}', r"not JSON: JSON is malformed: invalid character \(byte 6\)"),
        ('{"a": "\\ud800"}', "not JSON: "),
        ("[1]", "expected a JSON object"),
    ],
)
def test_other_json_is_refused(content, message, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"run\.json: {message}"):
        read_json(path)
    assert read_json(tmp_path / "nothing.json") == {}


def test_text_is_read_without_byte_order_mark(tmp_path):
    path = tmp_path / "fr.txt"
    path.write_bytes(b"\xef\xbb\xbfun\r\ndeux\n")
    assert read_text(path) == "un\ndeux\n"
    path.write_bytes(b"un\ndeux \xff\n")
    with pytest.raises(InputError, match=r"fr\.txt:2: byte 8 is not UTF-8"):
        read_text(path)
