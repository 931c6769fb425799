"""JSON files → objects and records; errors name the file, the key and the value."""

import dataclasses
import re
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import reduce
from operator import getitem
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, TypeVar

import msgspec

from jaxprune.errors import InputError, named, shown
from jaxprune.files.json_text import parse_json
from jaxprune.files.regular import read_regular

Record = TypeVar("Record")

# Types of values in JSON files, which msgspec checks.
Scalar = str | int | float | bool | None
_LARGEST = sys.float_info.max
# JSON has no other numbers.
Finite = Annotated[float, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
# Sums of shares round.
Share = Annotated[float, msgspec.Meta(ge=0, le=1 + 1e-9)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=_LARGEST)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Hexadecimal = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]+$", max_length=64)]  # a digest

# The most levels of objects and lists in a file, as it is processed recursively.
_DEEPEST = 50


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty without a file.

    Raises:
      InputError: not a regular file, not JSON, or not an object.
    """
    if not path.exists():
        return {}
    broken = "broken, {}; expected JSON"
    value = parse_json(read_regular(path), str(path), broken=broken, strict=False)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
    if _is_deeper(value, _DEEPEST):
        raise InputError(f"{path}: broken, more than {_DEEPEST} levels deep; expected JSON")
    return value


def read_as(kind: type[Record] | GenericAlias, path: Path) -> Record | None:
    """The object in a JSON file, unchanged, with its values checked against `kind`; None without a file.

    Args:
      kind: a TypedDict, or a dict of one type of values. Keys that a TypedDict does not name may have any value.

    Raises:
      InputError: as `read_json` and `from_json`.
    """
    if not path.exists():
        return None
    value: Any = read_json(path)
    from_json(kind, value, str(path))
    return value


def _is_deeper(value: object, most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        values = (v.values() if isinstance(v, dict) else v for v in level)
        level = [inner for part in values for inner in part if isinstance(inner, dict | list)]
    return bool(level)


# Metadata of a field that `to_json` leaves out if it is None.
LEFT_OUT_IF_NONE: Mapping[str, bool] = {"left out if None": True}


def to_json(value: Any) -> Any:
    """A frozen dataclass as JSON: an object with a key for each field, in their order; tuples become lists."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: to_json(content)
            for field in dataclasses.fields(value)
            if (content := getattr(value, field.name)) is not None
            or field.metadata != LEFT_OUT_IF_NONE
        }
    if isinstance(value, Mapping):
        return {key: to_json(content) for key, content in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(content) for content in value]
    return value


def from_json(kind: type[Record] | GenericAlias, value: object, where: str) -> Record:
    """The record that `to_json` wrote as `value`; ignores other keys.

    Args:
      kind: a dataclass, a TypedDict or a type of their values. A field with a default may be missing.
      where: the file, for messages.

    Raises:
      InputError: a key is missing or its value does not fit, "report.json: sparsity.layers[3]: expected float, got
        'x'". Or text contains a lone surrogate, which JSON can escape and UTF-8 cannot encode.
    """
    try:
        return msgspec.convert(value, kind)
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: {error}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {_explained(kind, value, str(error))}") from None


# A message of msgspec: "Expected `float`, got `str` - at `$.languages[...].accuracy`".

_MISSING = "Object missing required field `"


def _explained(kind: Any, value: Any, message: str) -> str:
    """A message of msgspec with the value and the keys of objects added."""
    problem, _, path = message.partition(" - at `$")
    keys: list[str | int] = []
    for step in re.findall(r"\.\w+|\[\d+\]|\[\.\.\.\]", path):
        if step == "[...]":
            keys.append(_failing_key(kind, value, keys, message))
        else:
            keys.append(step[1:] if step[0] == "." else int(step[1:-1]))
    if problem.startswith(_MISSING):
        return f"{_path([*keys, problem.removeprefix(_MISSING).rstrip('`')])}: missing"
    place = f"{_path(keys)}: " if keys else ""
    expected = re.sub(r"^Expected |, got .*|`", "", problem)
    expected = "a smaller number" if expected == "Number out of range" else expected
    return f"{place}expected {expected}, got {shown(reduce(getitem, keys, value))}"


def _failing_key(kind: Any, value: Any, keys: Sequence[str | int], message: str) -> str:
    """The key whose value is wrong in the object at `keys`: alone, it gives the same message of msgspec."""
    copy = deepcopy(value)
    inner: Any = reduce(getitem, keys, copy)
    for key, content in inner.copy().items():
        inner.clear()
        inner[key] = content
        try:
            msgspec.convert(copy, kind)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return key
    raise AssertionError(message)


def _path(keys: Sequence[str | int]) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{named(key)}" for key in keys)
    return "".join(parts).removeprefix(".")
