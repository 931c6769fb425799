"""Changes of sound files for fuzz.py: of bytes, of numbers, of what a JSON object holds."""

import json
import re
from collections.abc import Sequence

from hypothesis import strategies as st

NUMBERS = """
    0 1 -1 2 7 32 33 255 256 65535 65536 2147483647 2147483648 4294967295 1099511627776
    4611686018427387903 4611686018427387904 9223372036854775807 9223372036854775808
    18446744073709551615 18446744073709551616 0.5 -0.0 1e3 1e400 1e-400 NaN Infinity -Infinity
""".split()  # noqa: SIM905
NUMBERS += ["9" * 400, "9" * 5000]
TEXTS = ['"\\ud800"', '"a\\nb"', '"\\u2028"', '"\\u0000"', '""', '"F32"', f'"{"x" * 3000}"']
DEPTHS = st.sampled_from([1, 2, 30, 100_000])
PIECES = [
    b"\n", b"\r", b"\r\n", b"\0", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\", b"\\ud83d",
    b"null", b"true", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", "\u2028".encode(), b"\x85",
    b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"__metadata__", b"{}", b"[[]]", b'""',
    b"cposix\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"R", b"b", b"h\x00", b"0", b"(", b"t",
]  # fmt: skip


# Changes of bytes


def changed(seeds: Sequence[bytes] | st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds with up to four changes, each at a place or at one of its landmarks."""
    source = seeds if isinstance(seeds, st.SearchStrategy) else st.sampled_from(list(seeds))
    return source.flatmap(_changed)


@st.composite
def _changed(draw, seed: bytes) -> bytes:
    data = bytearray(seed)
    for change in draw(st.lists(st.sampled_from(CHANGES), max_size=4)):
        change(draw, data)
    return bytes(data)


def _place(draw, data: bytearray) -> int:
    marks = [m.start() for m in re.finditer(rb"PK|NUMPY|[0-9]+|[{\[\"]", data[-3000:])]
    if marks and draw(st.booleans()):
        base = max(0, len(data) - 3000) + draw(st.sampled_from(marks))
        return min(base + draw(st.integers(0, 50)), len(data))
    return draw(st.integers(0, len(data)))


def _flip(draw, data: bytearray) -> None:
    place = _place(draw, data)
    data[place : place + 1] = bytes([draw(st.integers(0, 255))])


def _cut(draw, data: bytearray) -> None:
    place = _place(draw, data)
    del data[place : place + draw(st.sampled_from([1, 2, 8, 40, len(data)]))]


def _insert(draw, data: bytearray) -> None:
    place = _place(draw, data)
    data[place:place] = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)))


def _duplicate(draw, data: bytearray) -> None:
    place, start = _place(draw, data), _place(draw, data)
    data[place:place] = data[start : start + draw(st.integers(1, 60))]


def _splice(draw, data: bytearray) -> None:
    place, start = _place(draw, data), _place(draw, data)
    data[place:] = data[start:]


def _number(draw, data: bytearray) -> None:
    places = [(m.start(), m.end()) for m in re.finditer(rb"-?[0-9]+", data[:20_000])]
    if places:
        start, end = draw(st.sampled_from(places))
        data[start:end] = draw(st.sampled_from(NUMBERS)).encode()


def _field(draw, data: bytearray) -> None:
    """A number in binary, such as the sizes in a zip's directory."""
    place, width = _place(draw, data), draw(st.sampled_from([1, 2, 4, 8]))
    value = draw(st.sampled_from([0, 1, 8, 99, 2**15, 2**31, 2**32 - 1, 2**63, 2**64 - 1]))
    data[place : place + width] = (value % 256**width).to_bytes(width, "little")


CHANGES = [_flip, _flip, _cut, _insert, _duplicate, _splice, _number, _number, _field]


# JSON as text, so that it can hold what json.dumps would not write


@st.composite
def json_text(draw, depth: int = 2) -> str:
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.sampled_from(TEXTS))
    if kind == 1:
        return json.dumps(draw(st.text(max_size=6)))
    if kind == 2:
        return draw(st.sampled_from(["null", "true", "false", "{}", "[]"]))
    if kind == 3 or not depth:
        return draw(st.one_of(st.sampled_from(NUMBERS), st.integers().map(str)))
    if kind == 4:
        levels, (opens, closes) = draw(DEPTHS), draw(st.sampled_from(["[]", ('{"a":', "}")]))
        return opens * levels + draw(st.sampled_from(["1", ""])) + closes * levels
    if kind in (5, 6):
        return "[" + ", ".join(draw(st.lists(json_text(depth - 1), max_size=4))) + "]"
    if kind == 7:
        return members(draw(st.dictionaries(st.text(max_size=4), json_text(depth - 1), max_size=3)))
    return draw(st.sampled_from(["1", "2", '"full_attention"', "0.1", '"default"']))


def members(table: dict[str, str]) -> str:
    return "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in table.items()) + "}"


NAMES = st.one_of(st.text(max_size=5), st.sampled_from(["a\nb", "\ud800", "x" * 3000, "_x", ""]))


@st.composite
def changed_object(draw, seeds: Sequence[dict], keys: Sequence[str] = ()) -> bytes:
    """An object of the seeds with some values replaced, removed or added, at its top or one below."""
    table = {key: json.dumps(value) for key, value in draw(st.sampled_from(list(seeds))).items()}
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.one_of(st.sampled_from([*table, *keys] or [""]), NAMES))
        inner = json.loads(table.get(key, "0")) if len(table.get(key, "")) < 2000 else 0
        if isinstance(inner, dict) and draw(st.booleans()):
            below = {name: json.dumps(value) for name, value in inner.items()}
            below[draw(st.one_of(st.sampled_from([*below] or [""]), NAMES))] = draw(json_text())
            table[key] = members(below)
            break  # it may no longer be JSON that Python reads
        if draw(st.integers(0, 4)):
            table[key] = draw(json_text())
            break
        table.pop(key, None)
    return members(table).encode()
