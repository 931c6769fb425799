"""JSON files → objects and records; errors name the file and the key."""

from pathlib import Path
from types import GenericAlias
from typing import Any, TypeVar

import msgspec

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import parse_json

Record = TypeVar("Record")


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


def from_json(kind: type[Record] | GenericAlias, value: object, where: str) -> Record:
    """A JSON value as a record; ignores keys that the record does not have.

    Args:
      kind: a dataclass, a TypedDict or a type of their values. A field with a default may be missing.
      where: the file, for messages.

    Raises:
      InputError: a key is missing or its value does not fit, "files.json: Expected `array`, got `int` - at `$[...]`".
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}") from None
