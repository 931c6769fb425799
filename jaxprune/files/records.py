"""JSON files → objects and records; a broken one is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from jaxprune.errors import InputError

Record = TypeVar("Record")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file.

    Raises:
      InputError: no JSON, or no object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: broken, {error}; expected JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
    return value


# Metadata of a record's field that has no key in JSON while it is None.
LEFT_OUT_IF_NONE: Mapping[str, bool] = {"left out if None": True}


def to_json(value: Any) -> Any:
    """A frozen dataclass as JSON has it: an object with a key for each field, in their order; tuples become lists."""
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


def from_json(kind: type[Record], value: object, where: str) -> Record:
    """The record that `to_json` wrote as `value`; other keys are passed over.

    Args:
      kind: a dataclass. A field with a default may be missing.
      where: the file, for messages.

    Raises:
      InputError: a key is missing or holds something else; names it. Or text holds half a surrogate pair,
        which JSON can escape and UTF-8 has not.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise InputError(f"{where}: {error}") from None
