"""Records and JSON: what is read, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pytest

from jaxprune.base.errors import InputError
from jaxprune.base.files import from_json

Value = TypeVar("Value")


@dataclass(frozen=True)
class Two(Generic[Value]):
    a: Value
    b: Value


@dataclass(frozen=True, kw_only=True)
class Inner:
    share: float
    bounds: tuple[float, float]
    rank: int | None = None


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


def test_a_record_is_read():
    assert from_json(Outer, JSON, "file") == RECORD
    less = {key: value for key, value in JSON.items() if key != "rest"} | {"sides": None}
    read = from_json(Outer, less | {"unknown": 1}, "file")
    assert (read.rest, read.sides) == (None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, r"file: Expected `str`, got `int` - at `\$\.name`"),
        ({"is_new": 1}, r"file: Expected `bool`, got `int` - at `\$\.is_new`"),
        ({"names": "b"}, r"file: Expected `array`, got `str` - at `\$\.names`"),
        ({"names": ["b", 2]}, r"file: Expected `str`, got `int` - at `\$\.names\[1\]`"),
        ({"inner": []}, r"file: Expected `object`, got `array` - at `\$\.inner`"),
        ({"inner": {"fr": {"bounds": [0, 1]}}}, r"file: .* missing required field `share`"),
        ({"inner": {"fr": {"share": 1, "bounds": [0]}}}, r"Expected `array` of length 2"),
        ({"inner": {"fr": GOOD | {"rank": 0.5}}}, r"Expected `int \| null`, got `float` .*\.rank`"),
        ({"inner": {"fr": GOOD | {"share": 10**400}}}, r"file: .*out of range - at .*\.share`"),
        ({"shares": {"a": 0.5, "b": "x"}}, r"Expected `float`, got `str` - at `\$\.shares\.b`"),
        ({"sides": {"a": None, "b": None}}, r"Expected `object`, got `null` - at `\$\.sides\.a`"),
    ],
)
def test_other_values_are_refused_by_their_place(change, message):
    with pytest.raises(InputError, match=message) as error:
        from_json(Outer, JSON | change, "file")
    assert "\n" not in str(error.value)
