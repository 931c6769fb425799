"""What a value may be: rules for the fields of a config and the keys of a task file, kinds of numbers in JSON,
and records that files declare.

A room declares the fields that it reads as `FIELDS`, name → `Field`; `config/` puts all of them together.
What there may be more of is a record in a file of its own: `declared` finds them.
"""

from __future__ import annotations

import importlib
import math
import numbers
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, TypeGuard, TypeVar

from msgspec import Meta

from jaxprune.errors import InputError, did_you_mean, refusal

Value = str | int | float | bool | None
# Of the values in JSON files. Sums of shares round; a finite number is what JSON has.
Scalar = str | int | float | bool | None
_LARGEST = sys.float_info.max
Finite = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1 + 1e-9)]
Seconds = Annotated[float, Meta(ge=0, le=_LARGEST)]
Count = Annotated[int, Meta(ge=0, le=2**62)]
Hexadecimal = Annotated[str, Meta(pattern="^[0-9a-f]+$", max_length=64)]  # a digest
_T = TypeVar("_T")


@dataclass(frozen=True)
class Field:
    """A rule for one value.

    Attributes:
      allowed: what passes, in words, for messages.
      passes: the test of a value.
      default: None where it is not set; a config then holds a placeholder of type `kind`.
      choices: all values that pass, where they can be listed.
      kind: type of the value.
      meaning: what it is for, for `--help` and the README.
      required: of the key of a file, that it must be there.
    """

    allowed: str
    passes: Callable[[Any], bool]
    default: Value = None
    choices: tuple[str, ...] = ()
    kind: type = str
    meaning: str = ""
    required: bool = False


def choice(names: Iterable[str], meaning: str = "", *, optional: bool = False) -> Field:
    """One of the names; the first is the default, or None if it is optional."""
    names = tuple(names)
    passes = (None, *names) if optional else names
    return Field(
        ", ".join(names), lambda value: value in passes, None if optional else names[0], names,
        meaning=meaning,
    )  # fmt: skip


def flag(default: bool, meaning: str = "") -> Field:
    """True or false."""
    return Field("true or false", lambda value: isinstance(value, bool), default, meaning=meaning)


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a whole number, of Python or numpy, which True is not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, of Python or numpy, which True is not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def integer(
    default: int | None, least: int, meaning: str = "", *, below: float = math.inf
) -> Field:
    """A whole number of at least `least` and below `below`; may be unset where the default is None."""
    allowed = f"an integer of at least {least}" + (f", below {below}" if below < math.inf else "")
    return Field(
        allowed,
        lambda value: (
            (default is None and value is None) or (is_int(value) and least <= value < below)
        ),
        default,
        kind=int,
        meaning=meaning,
    )


def text(default: str | None, allowed: str, meaning: str = "", *, optional: bool = False) -> Field:
    """A text that is not empty."""
    return Field(
        allowed,
        lambda value: (optional and value is None) or (isinstance(value, str) and bool(value)),
        default,
        meaning=meaning,
    )


def line_range(meaning: str = "") -> Field:
    """The first and the last of some lines, as 300-499, counted from 0; may be unset."""
    return Field(
        "the first and the last line, counted from 0, as 0-299",
        lambda value: value is None or (isinstance(value, str) and _bounds(value) is not None),
        meaning=meaning,
    )


def lines_of(texts: Sequence[_T], lines: str | None, field: str, where: object) -> Sequence[_T]:
    """Those of some lines that a `line_range` names; all where it is not set.

    Args:
      field: its name, for messages.
      where: what the lines are of, for messages.

    Raises:
      InputError: no such range, or it ends behind the last line.
    """
    check(field, lines, line_range())
    bounds = None if lines is None else _bounds(lines)
    if bounds is None:
        return texts
    first, last = bounds
    if last >= len(texts):
        raise InputError(
            f"{field}: got {lines!r}; {where} has {len(texts):,} lines; allowed: up to {len(texts) - 1}"
        )
    return texts[first : last + 1]


def _bounds(lines: str) -> tuple[int, int] | None:
    found = re.fullmatch(r"([0-9]{1,12})-([0-9]{1,12})", lines)
    first, last = map(int, found.groups()) if found else (1, 0)
    return (first, last) if first <= last else None


def names(value: object, among: Iterable[str] | None = None) -> bool:
    """Whether a text holds names with commas between, each once, each of `among` or else a plain word."""
    parts = value.split(",") if isinstance(value, str) else []
    if among is not None and not {*parts} <= {*among}:
        return False
    return 0 < len(parts) == len({*parts}) and all(re.fullmatch(r"\w[\w-]*", p) for p in parts)


# An argument of a function, not a field of a config.
PATH = Field("a path", lambda value: isinstance(value, str | os.PathLike) and bool(str(value)))


def check(name: str, value: object, field: Field) -> None:
    """Refuses a value that a field does not allow.

    Raises:
      InputError: `name`, what it got and what is allowed.
    """
    if not field.passes(value):
        raise refusal(name, value, field.allowed, choices=field.choices)


def check_table(
    where: str, table: Mapping[str, Any], fields: Mapping[str, Field], *, prefix: str = ""
) -> None:
    """Refuses a table of a file with a key that is unknown, missing or holds what it may not.

    Args:
      where: the file, for messages.
      prefix: the table's own name in them, such as "label.".

    Raises:
      InputError: one line with the file, the key and what is allowed.
    """
    for key in table:
        if key not in fields:
            hint = did_you_mean(key, fields)
            raise InputError(
                f"{where}: {prefix}{key}: no such key; allowed: {', '.join(fields)}{hint}"
            )
    for name, field in fields.items():
        if name not in table and field.required:
            raise InputError(f"{where}: {prefix}{name}: missing; allowed: {field.allowed}")
        if name in table:
            check(f"{where}: {prefix}{name}", table[name], field)


def declared(package: ModuleType, attribute: str) -> Sequence[Any]:
    """What the files of a package call `attribute`, in the order of their names: records that nothing else names."""
    modules = (
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    )
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
