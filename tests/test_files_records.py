"""Records and JSON: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest

from jaxprune.errors import InputError
from jaxprune.files import LEFT_OUT_IF_NONE, from_json, to_json

Value = TypeVar("Value")


@dataclass(frozen=True)
class Two(Generic[Value]):
    a: Value
    b: Value


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float
    bounds: tuple[float, float]
    rank: int | None = field(default=None, metadata=LEFT_OUT_IF_NONE)


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Mapping[str, Inner]
    sides: Two[Inner] | None
    shares: Two[float]
    names: tuple[str, ...]
    is_new: bool
    rest: Any = None


GOOD = {"share": 1, "bounds": [0, 1]}
ONE, OTHER = Inner(share=0.25, bounds=(0.0, 1.0)), Inner(share=1.0, bounds=(-1.0, 2.5), rank=3)
RECORD = Outer(
    name="x", inner={"fr": ONE, "en": OTHER}, sides=Two(OTHER, ONE), shares=Two(0.5, 1.0),
    names=("b", "a"), is_new=True, rest={"k": [1]},
)  # fmt: skip
JSON = {
    "name": "x",
    "inner": {
        "fr": {"share": 0.25, "bounds": [0.0, 1.0]},
        "en": {"share": 1.0, "bounds": [-1.0, 2.5], "rank": 3},
    },
    "sides": {
        "a": {"share": 1.0, "bounds": [-1.0, 2.5], "rank": 3},
        "b": {"share": 0.25, "bounds": [0.0, 1.0]},
    },
    "shares": {"a": 0.5, "b": 1.0},
    "names": ["b", "a"],
    "is_new": True,
    "rest": {"k": [1]},
}


def test_keys_are_written_in_the_order_of_the_fields():
    assert json.dumps(to_json(RECORD)) == json.dumps(JSON)


def test_what_is_written_is_read_back():
    assert from_json(Outer, json.loads(json.dumps(JSON)), "file") == RECORD
    less = {key: value for key, value in JSON.items() if key != "rest"} | {"sides": None}
    read = from_json(Outer, less | {"unknown": 1}, "file")
    assert (read.rest, read.sides) == (None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, r"file: name: expected str, got 3"),
        ({"is_new": 1}, r"file: is_new: expected bool, got 1"),
        ({"names": "b"}, r"file: names: expected array, got 'b'"),
        ({"names": ["b", 2]}, r"file: names\[1\]: expected str, got 2"),
        ({"inner": []}, r"file: inner: expected object, got \[\]"),
        ({"inner": {"en": GOOD, "fr": {"bounds": [0, 1]}}}, r"file: inner\.fr\.share: missing"),
        (
            {"inner": {"a b": GOOD | {"share": True}}},
            r"inner\.'a b'\.share: expected float, got True",
        ),
        (
            {"inner": {"fr": {"share": 1, "bounds": [0]}}},
            r"fr\.bounds: expected array of length 2, got \[0\]",
        ),
        (
            {"inner": {"fr": GOOD | {"rank": 0.5}}},
            r"inner\.fr\.rank: expected int \| null, got 0\.5",
        ),
        (
            {"inner": {"fr": GOOD | {"share": 10**400}}},
            r"share: expected a smaller number, got 1000",
        ),
        ({"shares": {"a": 0.5, "b": "x"}}, r"file: shares\.b: expected float, got 'x'"),
        ({"sides": {"a": None, "b": None}}, r"file: sides\.a: expected object, got None"),
        ({"sides": {}, "name": 1}, r"file: name: expected str, got 1"),
        (
            {"name": "x" * 10**6, "is_new": {"y" * 10**6: 1}},
            r"file: is_new: expected bool, got \{'yyy",
        ),
    ],
)
def test_other_values_are_refused_by_their_place(change, message):
    with pytest.raises(InputError, match=message) as error:
        from_json(Outer, JSON | change, "file")
    assert "\n" not in str(error.value)


def test_half_a_surrogate_pair_is_refused():
    read = json.loads('{"\\ud800": 1}')
    with pytest.raises(InputError, match=r"file: .*surrogates not allowed"):
        from_json(Outer, JSON | {"shares": read}, "file")
