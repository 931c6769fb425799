"""JSON files → objects and records; errors name the file and the key."""

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, TypeVar

import msgspec

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import parse_json

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


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty without a file.

    Raises:
      InputError: not JSON, or not an object.
    """
    if not path.exists():
        return {}
    value = parse_json(path.read_bytes(), str(path))
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
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
      InputError: a key is missing or its value does not fit, "report.json: Expected `float`, got `str` - at
        `$.sparsity.layers[3]`".
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None
