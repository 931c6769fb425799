"""JSON from outside → plain values, or an error in one line."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, NoReturn

from jaxprune.errors import InputError, shown
from jaxprune.files.regular import read_text


def parse_json(
    text: str | bytes, where: str, *, broken: str = "no valid JSON ({})", strict: bool = True
) -> Any:
    """The value of a JSON text. Duplicate keys are rejected, as readers differ in which one counts.

    Args:
      text: bytes are UTF-8.
      where: file, or file and line; the message begins with it.
      broken: the rest of the message, with the parser's message in place of {}.
      strict: also reject NaN, Infinity and lone surrogates, which Python accepts.

    Raises:
      InputError: the text is not JSON, is nested too deeply, or is rejected as above.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
            raise InputError(f"{where}: duplicate key {shown(twice)}")
        return table

    def refuse(constant: str) -> NoReturn:
        raise InputError(f"{where}: {constant} is not JSON")

    try:
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        constant = refuse if strict else None
        value = json.loads(plain, object_pairs_hook=unique, parse_constant=constant)
        if strict and "\\u" in plain:  # JSON can escape a lone surrogate, which UTF-8 cannot encode
            json.dumps(value, ensure_ascii=False).encode()
    except InputError:
        raise
    except (ValueError, RecursionError) as error:  # JSON and UTF-8 errors are ValueErrors
        raise InputError(f"{where}: {broken.format(str(error)[:200])}") from error
    return value


def json_of_file(name: str, field: str) -> Any:
    """The value of a .json file that a field names; InputError if it is missing or broken."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise InputError(f"{field}: no file {name!r}")
    return parse_json(read_text(path), name)
