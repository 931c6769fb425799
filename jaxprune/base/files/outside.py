"""Text and JSON from outside → plain values, or an error in one line."""

from pathlib import Path
from typing import Any

import msgspec

from jaxprune.base.errors import InputError


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without byte order mark and with \\n for \\r\\n; InputError names the line at fault."""
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: byte {error.start} is not UTF-8") from None


def parse_json(text: str | bytes, where: str) -> Any:
    """The value of a JSON text.

    Args:
      text: bytes are UTF-8.
      where: file, or file and line; the message of an InputError begins with it.
    """
    try:
        return msgspec.json.decode(text)
    # a UnicodeError for a lone surrogate in a str
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError(f"{where}: not JSON: {error}") from error


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


def json_of_file(name: str, field: str) -> Any:
    """The value of a .json file that a field names; InputError if it is missing or broken."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(f"{field}: no file {name!r}")
    return parse_json(read_text(path), name)
