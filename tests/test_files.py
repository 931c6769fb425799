"""Files of a workdir that something else has written or damaged."""

import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from jaxprune.errors import InputError
from jaxprune.files import read_json, read_npz, read_text

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
    assert str(caught.value).isprintable()


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
        npy(b"(" * 3000),  # found by fuzz.py: TokenError, RecursionError, a pickle, raw bytes
        npy(b"-" * 3000 + b"1"),
        npy(b"{'descr': '|i1',\n 'shape'"),
        npy(PLAIN.replace(b"|i1", b"|O")),
        npy(PLAIN.replace(b"'|i1'", b"[('a', '|i1')]")),
        npy(PLAIN.replace(b"|i1", b"<U0")),
        npy(PLAIN.replace(b"(4,)", b"(-4,)")),
        npy(PLAIN.replace(b"(4,)", b"(5,)")),
        npy(PLAIN.replace(b"(4,)", b"(1099511627776, 1099511627776)")),
        npy(PLAIN.replace(b"(4,)", b"(0, 9223372036854775807, 8)"), b""),
        npy(PLAIN, version=b"\x09\x00"),
        npy(PLAIN, bytes(5)),
        b"text",
        b"",
    ],
)
def test_members_that_are_no_plain_arrays_are_refused(member, tmp_path):
    refused(npz(tmp_path, [("a.npy", member)]), BROKEN)


def test_a_bomb_is_refused_before_it_takes_memory(tmp_path):
    body = bytes(100 << 20)
    header = PLAIN.replace(b"(4,)", b"(%d,)" % len(body))
    path = npz(tmp_path, [("a.npy", npy(header, body))], zipfile.ZIP_DEFLATED)
    del body
    assert path.stat().st_size < 200_000
    honest = path.read_bytes()
    claimed = struct.pack("<I", (100 << 20) + 10 + len(header))
    assert honest.count(claimed) == 2
    tracemalloc.start()
    refused(path, "would inflate to 104857.* bytes, at most 67108864 allowed; .* uncompressed")
    path.write_bytes(honest.replace(claimed, struct.pack("<I", 1000)))
    refused(path, BROKEN)
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_large_arrays_may_be_stored_and_compressed_as_far_as_numbers_go(tmp_path):
    ids = np.random.default_rng(0).integers(0, 250_000, (9 << 20)).astype(np.int64)  # 72 MiB
    np.savez(tmp_path / "a.npz", ids=ids)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["ids"], ids)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        memory = io.BytesIO()
        np.save(memory, ids)
        archive.writestr("ids.npy", memory.getvalue())
    assert (tmp_path / "a.npz").stat().st_size < ids.nbytes / 2
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz")["ids"], ids)


def test_zips_that_numpy_would_not_write_are_refused(tmp_path):
    good = npy(PLAIN)
    assert read_npz(npz(tmp_path, [("a.npy", good)]))["a"].shape == (4,)
    refused(npz(tmp_path, [("a.npy", good)], zipfile.ZIP_BZIP2), BROKEN)
    refused(npz(tmp_path, [("a.npy", good)], zipfile.ZIP_LZMA), BROKEN)
    refused(npz(tmp_path, [("a.npy", good), ("a", good)]), "two of its arrays have the same name")
    path = npz(tmp_path, [("a.npy", good)])
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    for content in (
        b"\r" + whole,
        whole[: directory + 8] + b"\x01" + whole[directory + 9 :],  # encrypted
        whole[: directory + 6] + b"\xff" + whole[directory + 7 :],  # of a later zip
    ):
        path.write_bytes(content)
        refused(path, BROKEN)
    extra = struct.pack("<HHQ", 1, 8, 2**63 - 9)  # zip64: where the member begins
    entry = bytearray(whole[directory : whole.index(b"PK\x05\x06")])
    entry[30:32], entry[42:46] = struct.pack("<H", len(extra)), b"\xff" * 4
    end = bytearray(whole[whole.index(b"PK\x05\x06") :])
    end[12:16] = struct.pack("<I", len(entry) + len(extra))
    path.write_bytes(whole[:directory] + entry + extra + end)
    refused(path, BROKEN)  # and no OSError, which would be the disk's


def test_json_of_any_depth_is_refused(tmp_path):
    path = tmp_path / "run.json"
    for content in ("[" * 100_000, '{"a": ' * 100_000, "9" * 5000, "[1]", '{"a"'):
        path.write_text(content)
        with pytest.raises(
            InputError, match=r"run\.json: (broken, .*; expected JSON|expected a JSON)"
        ):
            read_json(path)
    assert read_json(tmp_path / "nothing.json") == {}


def test_a_line_without_end_is_refused_before_it_takes_memory(tmp_path):
    path = tmp_path / "fr.txt"
    path.write_bytes(b"un\ndeux\n")
    assert read_text(path) == "un\ndeux\n"
    with path.open("r+b") as file:
        file.truncate(8 << 30)  # takes no space
    tracemalloc.start()
    with pytest.raises(InputError, match=r"fr\.txt:3: a line of more than 64 MiB; expected text"):
        read_text(path)
    assert tracemalloc.get_traced_memory()[1] < 300 << 20
    tracemalloc.stop()
