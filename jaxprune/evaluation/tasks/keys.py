"""The keys of a task file by table, and their allowed values."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from jaxprune.base.errors import InputError, did_you_mean
from jaxprune.base.schema import Field, check, choice, flag
from jaxprune.evaluation.tasks.prompts import OPTION
from jaxprune.evaluation.tasks.protocols import SECTIONS


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w-]*", value) is not None


def _are_different(value: object, fits: Callable[[object], bool], least: int) -> bool:
    return (
        isinstance(value, list) and all(map(fits, value)) and least <= len({*value}) == len(value)
    )


def _is_table(value: object, fits: Callable[[object], bool] = lambda _: True) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


def _are_languages(value: Any) -> bool:
    if _is_table(value, _is_text):
        return bool(value) and all(map(_is_name, value))
    return _are_different(value, _is_name, 1)


def _is_word(value: object) -> bool:
    return _is_text(value) or _is_table(value, _is_text)


def _are_words(value: Any) -> bool:
    return _is_table(value, _is_word) and all(
        re.fullmatch(r"\w+", name) and name != OPTION for name in value
    )


def _are_scalars(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str | int) for v in value)


def _are_groups(value: object) -> bool:
    return _is_text(value) or (type(value) is int and value > 1)


_TEXT = Field("a text that is not empty", _is_text)
_PLACE = Field("a text, in which {lang} and {split} are placeholders", _is_text)
_OPTIONS = Field(
    "two texts or more, no two the same", lambda value: _are_different(value, _is_text, 2)
)
TASK_KEYS = {
    "name": Field("letters, digits, _ and -", _is_name, required=True),
    "data": Field("a pattern of .jsonl or .csv files, a folder, a hub id", _is_text, required=True),
    "config": _PLACE,
    "split": _TEXT,
    "revision": _TEXT,
    "files": _PLACE,
    "languages": Field(
        "a list of different codes, or a table of codes", _are_languages, required=True
    ),
    "parallel": flag(False),
    "group": Field("the name of a field, or the number of successive rows in a group", _are_groups),
    "labels": _OPTIONS,
    "label": Field("a table with field and, optionally, values and drop", _is_table, required=True),
    "empty": choice(("error", "drop"), "error"),
    **{name: Field("a table with template and options", _is_table) for name in SECTIONS},
}
LABEL_KEYS = {
    "field": Field("the name of a field", _is_text, required=True),
    "values": Field("a table from values of the field to labels", _is_table),
    "drop": Field("a list of values of the field in rows to skip", _are_scalars),
}
PROMPT_KEYS = {
    "context": _TEXT,
    "template": _TEXT,
    "options": _OPTIONS,
    "words": Field("by name, a text or a table of texts by value of a field", _are_words),
}
SECTION_KEYS = {
    "split": _TEXT,
    **PROMPT_KEYS,
    "languages": Field(
        "a table of languages, each with a table of its own keys",
        lambda value: _is_table(value, _is_table),
    ),
}


def check_table(where: str, table: Mapping[str, Any], fields: Mapping[str, Field]) -> None:
    """Rejects a table with an unknown key, a missing key or an invalid value.

    Args:
      where: the file and the table, for messages, such as "nli.toml: label.".

    Raises:
      InputError: one line with the file, the key and the allowed values.
    """
    for key in table:
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise InputError(f"{where}{key}: no such key; allowed: {', '.join(fields)}{hint}")
    for name, field in fields.items():
        if name not in table and field.required:
            raise InputError(f"{where}{name}: missing; allowed: {field.allowed}")
        if name in table:
            check(f"{where}{name}", table[name], field)
