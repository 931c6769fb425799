"""Records ↔ JSON values: frozen dataclasses, written in the order of their fields and checked as they are read."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from jaxprune.errors import InputError, refusal, shown

Record = TypeVar("Record")


# Metadata of a field that has no key in JSON while it is None.
LEFT_OUT_IF_NONE: Mapping[str, bool] = {"left out if None": True}


def to_json(value: Any) -> Any:
    """A record as JSON has it: an object with a key for each field; tuples become lists."""
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
      kind: a dataclass whose fields are numbers, texts, records, tuples, mappings by text, or one of
        these or None. A field with a default may be missing.
      where: the file, for messages.

    Raises:
      InputError: a key is missing or holds something else; names it.
    """
    return cast(Record, _value(kind, value, where))


def _value(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        inner = next(one for one in arguments if one is not types.NoneType)
        return None if value is None else _value(inner, value, where)
    if dataclasses.is_dataclass(origin or kind):
        return _record(kind, _checked(value, dict, "an object", where), where)
    if origin is tuple:
        return _tuple(arguments, _checked(value, list, "a list", where), where)
    if origin is not None:  # Mapping[str, …]
        entries = _checked(value, dict, "an object", where)
        return {key: _value(arguments[1], one, f"{where}: {key}") for key, one in entries.items()}
    return _checked(value, *_SCALARS[kind], where)


_SCALARS: Mapping[type, tuple[Any, str]] = {
    float: ((float, int), "a number"),
    int: (int, "a whole number"),
    bool: (bool, "true or false"),
    str: (str, "a text"),
}


def _checked(value: Any, kinds: Any, allowed: str, where: str) -> Any:
    is_number_by_chance = isinstance(value, bool) and kinds is not bool
    if not isinstance(value, kinds) or is_number_by_chance:
        raise InputError(f"{where}: got {shown(value)}; allowed: {allowed}")
    return value


def _tuple(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(values)
    if len(values) != len(kinds):
        raise refusal(where, values, f"a list of {len(kinds)}")
    return tuple(
        _value(kind, value, f"{where}[{place}]")
        for place, (kind, value) in enumerate(zip(kinds, values, strict=True))
    )


def _record(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    generic = typing.get_origin(kind) or kind
    hints = typing.get_type_hints(generic)
    parameters = dict(
        zip(getattr(generic, "__parameters__", ()), typing.get_args(kind), strict=False)
    )
    contents = {}
    for field in dataclasses.fields(generic):
        if field.name in values:
            hint = parameters.get(hints[field.name], hints[field.name])
            contents[field.name] = _value(hint, values[field.name], f"{where}: {field.name}")
        elif field.default is dataclasses.MISSING:
            raise InputError(f"{where}: no {field.name!r}; there are {', '.join(values) or 'none'}")
    return generic(**contents)
