"""The keys of a task file, table by table: which there are and what they may hold."""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.errors import InputError
from jaxprune.evaluation.task_prompts import OPTION


class Key(NamedTuple):
    """A key of a table: the test of its value, that in words, and whether it must be there."""

    passes: Callable[[Any], bool]
    allowed: str
    required: bool = False


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_name(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\w[\w-]*", value) is not None


def _are_languages(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(map(_is_name, value)) and all(map(_is_text, value.values()))
    return (
        isinstance(value, list)
        and bool(value)
        and all(map(_is_name, value))
        and len(set(value)) == len(value)
    )


def _are_texts(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(map(_is_text, value))
        and len(set(value)) == len(value)
    )


def _are_words(value: object) -> bool:
    return isinstance(value, dict) and all(
        re.fullmatch(r"\w+", name)
        and name != OPTION
        and (_is_text(word) or (isinstance(word, dict) and all(map(_is_text, word.values()))))
        for name, word in value.items()
    )


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _are_tables(value: object) -> bool:
    return isinstance(value, dict) and all(map(_is_table, value.values()))


def _are_scalars(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str | int) for v in value)


_TEXT = Key(_is_text, "a text that is not empty")
_PLACE = Key(_is_text, "a text, in which {lang} and {split} may stand")
_OPTIONS = Key(_are_texts, "two texts or more, no two the same")
_WORDS = Key(_are_words, "texts by name, or texts by what a field says, by name")
TASK_KEYS = {
    "name": Key(_is_name, "letters, digits, _ and -", True),
    "data": Key(_is_text, "a pattern of .jsonl or .csv files, a folder, a hub id, or nano", True),
    "config": _PLACE,
    "split": _TEXT,
    "revision": _TEXT,
    "files": _PLACE,
    "languages": Key(_are_languages, "a list of different codes, or a table of codes", True),
    "parallel": Key(lambda value: isinstance(value, bool), "true or false"),
    "labels": _OPTIONS,
    "label": Key(_is_table, "a table with field, and if need be values and drop", True),
    "empty": Key(lambda value: value in ("error", "drop"), "error, drop"),
    "paper": Key(_is_table, "a table with template and options"),
    "lm_eval": Key(_is_table, "a table with template and options"),
}
LABEL_KEYS = {
    "field": Key(_is_text, "the name of a field", True),
    "values": Key(_is_table, "a table from what the field says to a label"),
    "drop": Key(_are_scalars, "a list of what the field says in rows to leave out"),
}
PROMPT_KEYS = {
    "context": _TEXT,
    "template": _TEXT,
    "options": _OPTIONS,
    "words": _WORDS,
}
PROTOCOL_KEYS = {
    "split": _TEXT,
    **PROMPT_KEYS,
    "languages": Key(_are_tables, "a table of languages, each with what it says otherwise"),
}


def check(path: Path, prefix: str, table: Mapping[str, Any], keys: Mapping[str, Key]) -> None:
    """Refuses a table with a key that is unknown, missing or holds what it may not.

    Args:
      prefix: the table's own name in messages, such as "label.".

    Raises:
      InputError: one line with the file, the key and what is allowed.
    """
    for key in table:
        if key not in keys:
            close = difflib.get_close_matches(key, keys, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            raise InputError(
                f"{path}: {prefix}{key}: no such key; allowed: {', '.join(keys)}{hint}"
            )
    for name, rule in keys.items():
        if name not in table and rule.required:
            raise InputError(f"{path}: {prefix}{name}: missing; allowed: {rule.allowed}")
        if name in table and not rule.passes(table[name]):
            raise InputError(
                f"{path}: {prefix}{name}: got {table[name]!r}; allowed: {rule.allowed}"
            )
