"""Changes of files for fuzz.py: of bytes, of a value in JSON, of what an archive or a header holds."""

import io
import json
import random
import re
import struct
import warnings
import zipfile
from collections.abc import Callable

import run_json

# Also what json.dumps would not write.
VALUES = """
    0 1 -1 2 7 32 33 255 256 65535 65536 2147483647 2147483648 4294967295 1099511627776
    4611686018427387903 4611686018427387904 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 0.5 -0.0 1e3 1e400 1e-400 NaN Infinity -Infinity
    null true false {} [] "" "F32" "1" "_x" "\\ud800" "a\\nb" "\\u2028" "\\u0000" "full_attention" "default"
    "." ".." "../a.safetensors" "/etc/passwd" "a/../b" "a.safetensors\\n"
""".split()  # noqa: SIM905
VALUES += ["9" * 400, "9" * 5000, f'"{"x" * 3000}"', '"' + "a/" * 3000 + '"']
VALUES += [opens * 30 + "1" + closes * 30 for opens, closes in ("[]", ('{"a":', "}"))]
VALUES += ["[" * 100_000, '{"a":' * 100_000]
PIECES = [
    b"\n", b"\r", b"\r\n", b"\0", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud83d",
    b"null", b"true", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u2028".encode(), b"\x85",
    b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"__metadata__", b"{}", b"[[]]", b'""',
    b"cposix\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"R", b"b", b"h\x00", b"0", b"(", b"t",
    b"(" * 2000, b"\x85" * 2000, b"r\xff\xff\xff\xff", b"\x8a\x09" + b"\x7f" * 9, b"X\xff\xff\xff\xff",
]  # fmt: skip
SIZES = (0, 1, 8, 99, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 1)

Change = Callable[[bytes, random.Random], bytes]


def of_bytes(data: bytes, rng: random.Random) -> bytes:
    """Other bytes at one place, often near a number, a bracket or the entry of an archive."""
    place, start = _place(data, rng), _place(data, rng)
    width = rng.choice((1, 2, 4, 8))
    length, put = rng.choice(
        (
            (1, bytes([rng.randrange(256)])),
            (rng.choice((1, 2, 8, 40, len(data))), b""),
            (0, rng.choice(PIECES)),
            (0, data[start : start + rng.randint(1, 60)]),
            (len(data), data[start:]),
            (len(re.match(rb"-?[0-9]*", data[place:])[0]), rng.choice(VALUES).encode()),
            (width, (rng.choice(SIZES) % 256**width).to_bytes(width, "little")),
        )
    )
    return data[:place] + put + data[place + length :]


def _place(data: bytes, rng: random.Random) -> int:
    marks = [m.start() for m in re.finditer(rb'PK|NUMPY|[0-9]+|[{\["]', data[-3000:])]
    if marks and rng.random() < 0.5:
        return min(max(0, len(data) - 3000) + rng.choice(marks) + rng.randint(0, 9), len(data))
    return rng.randint(0, len(data))


def of_json(data: bytes, rng: random.Random) -> bytes:
    """Another value, or none, somewhere in an object, or one more; bytes of what is no JSON any more."""
    try:
        value = json.loads(data)
        places = [*run_json.paths_of(value)]
    except (ValueError, RecursionError, AttributeError, TypeError):
        return of_bytes(data, rng)
    if isinstance(value, dict) and (not places or rng.random() < 0.2):
        return json.dumps(value | {rng.choice(("x", "a\nb", "_x", "")): 0}).encode()
    mark = "here it goes"
    wrong = ... if rng.random() < 0.2 else mark
    text = json.dumps(run_json.replaced(value, rng.choice(places), wrong))
    return text.replace(json.dumps(mark), rng.choice(VALUES)).encode()


def of_line(data: bytes, rng: random.Random) -> bytes:
    """A value in one of the lines, each of which is JSON."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = of_json(lines[place], rng)
    return b"\n".join(lines)


def of_header(data: bytes, rng: random.Random) -> bytes:
    """A value in the header of a safetensors file, whose length fits."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = of_json(data[8:end], rng)
    return struct.pack("<Q", len(header)) + header + data[end:]


def of_member(data: bytes, rng: random.Random) -> bytes:
    """Bytes of a file in an archive, whose checksums fit; another compression, or one file more."""
    method = rng.choice(
        (zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )  # fmt: skip
    memory = io.BytesIO()
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            zipfile.ZipFile(io.BytesIO(data)) as old,
            zipfile.ZipFile(memory, "w", method) as new,
        ):
            contents = {name: old.read(name) for name in old.namelist()}
            name = rng.choice([*contents, "x/data.pkl", "x.npy"])
            for _ in range(rng.randint(1, 3)):
                contents[name] = of_bytes(contents.get(name, b""), rng)
            for name, content in contents.items():
                new.writestr(name, content)
    except Exception:  # no archive any more
        return of_bytes(data, rng)
    return memory.getvalue()
