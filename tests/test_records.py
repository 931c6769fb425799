"""Records and JSON: what is written, what is read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pytest

from jaxprune.errors import InputError
from jaxprune.records import LEFT_OUT_IF_NONE, from_json, to_json

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
        ({"name": 3}, "file: name: got 3; allowed: a text"),
        ({"is_new": 1}, "file: is_new: got 1; allowed: true or false"),
        ({"names": "b"}, "file: names: got 'b'; allowed: a list"),
        ({"names": ["b", 2]}, r"file: names\[1\]: got 2; allowed: a text"),
        ({"inner": []}, r"file: inner: got \[\]; allowed: an object"),
        ({"inner": {"fr": {"bounds": [0, 1]}}}, "file: inner: fr: no 'share'; there are bounds"),
        ({"inner": {"fr": {"share": True, "bounds": [0, 1]}}}, "fr: share: got True; allowed: a n"),
        (
            {"inner": {"fr": {"share": 1, "bounds": [0]}}},
            r"bounds: got \[0\]; allowed: a list of 2",
        ),
        ({"inner": {"fr": {"share": 1, "bounds": [0, 1], "rank": 0.5}}}, "rank: got 0.5; allowed"),
        ({"shares": {"a": 0.5, "b": "x"}}, "file: shares: b: got 'x'; allowed: a number"),
        ({"sides": {"a": None, "b": None}}, "file: sides: a: got None; allowed: an object"),
    ],
)
def test_other_values_are_refused_by_their_place(change, message):
    with pytest.raises(InputError, match=message) as error:
        from_json(Outer, JSON | change, "file")
    assert "\n" not in str(error.value)
