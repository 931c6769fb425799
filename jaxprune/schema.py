"""Rules for values: the fields of a config, the keys of a task file, the arguments of functions.

Each subpackage declares the config fields that it reads as a `config_record`, with a rule for each field.
"""

import dataclasses
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar, dataclass_transform

from jaxprune.errors import refusal

_T = TypeVar("_T")


@dataclass(frozen=True)
class Field:
    """A rule for one value.

    Attributes:
      allowed: the rule in words, for messages.
      passes: tests a value that is not None.
      default: None if it may be unset; a config then has a placeholder of type `kind`.
      choices: all allowed values, if they can be listed.
      kind: type of the value.
      meaning: purpose of the value, for `--help` and the page of settings.
      required: the value has no default and must be set; a key of a file must be present.
      hint: the end of the message for a wrong value, if the closest choice would mislead.
    """

    allowed: str
    passes: Callable[[Any], bool]
    default: Any = None
    choices: tuple[str, ...] = ()
    kind: type = str
    meaning: str = ""
    required: bool = False
    hint: Callable[[object], str] | None = None

    @property
    def may_be_unset(self) -> bool:
        """Whether None is a value."""
        return self.default is None and not self.required


# In a record a rule takes the place of the default, so it and the functions below are typed as Any.
rule: Callable[..., Any] = Field


def choice(names: Iterable[str], default: str | None, meaning: str = "") -> Any:
    """One of the names."""
    names = tuple(names)
    return Field(", ".join(names), lambda value: value in names, default, names, meaning=meaning)


def flag(default: bool, meaning: str = "") -> Any:
    """True or false."""
    return Field("true or false", lambda value: isinstance(value, bool), default, meaning=meaning)


def is_int(value: object) -> TypeGuard[int]:
    """Whether the value is an integer of Python or numpy; bools are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Whether the value is a real number of Python or numpy; bools are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def integer(default: int | None, least: int, meaning: str = "", *, below: float = math.inf) -> Any:
    """An integer of at least `least` and below `below`."""
    allowed = f"an integer of at least {least}" + (f", below {below}" if below < math.inf else "")

    def passes(value: object) -> bool:
        return is_int(value) and least <= value < below

    return Field(allowed, passes, default, kind=int, meaning=meaning)


def is_text(value: object) -> TypeGuard[str]:
    """Whether the value is a non-empty string."""
    return isinstance(value, str) and bool(value)


def text(default: str | None, allowed: str, meaning: str = "") -> Any:
    """A non-empty string."""
    return Field(allowed, is_text, default, meaning=meaning)


def are_names(value: object, among: Iterable[str] | None = None) -> bool:
    """Whether the value is a comma-separated list of distinct plain words, each in `among` if that is given."""
    parts = value.split(",") if isinstance(value, str) else []
    if among is not None and not {*parts} <= {*among}:
        return False
    return 0 < len(parts) == len({*parts}) and all(re.fullmatch(r"\w[\w-]*", p) for p in parts)


# Arguments of functions, not fields of a config.
PATH = Field(
    "a path", lambda value: isinstance(value, str | os.PathLike) and bool(str(value)), required=True
)
# Path("s3://a") is "s3:/a"
OUTPUT_PATH = Field(
    "a path of this machine",
    lambda value: PATH.passes(value) and not re.match(r"\w+:/", str(value)),
    required=True,
)


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config_record(declared: type[_T]) -> type[_T]:
    """A frozen dataclass whose fields take their defaults from rules; groups of fields are such records too."""
    for name, rule in list(vars(declared).items()):
        if isinstance(rule, Field):
            field = dataclasses.field(default=rule.default, metadata={"rule": rule})
            setattr(declared, name, field)
    return dataclass(frozen=True, kw_only=True)(declared)


def filled(group: type, *names: str) -> Any:
    """A group some of whose fields, by default all, the command fills in itself: its config does not set them."""
    return dataclasses.field(default=group(), metadata={"filled": names or fields_of(group).keys()})


def fields_of(record: Any) -> dict[str, Field]:
    """The rules of a record's fields by name; those of its groups by path, for example `calibration.kind`."""
    rules = {}
    for field in dataclasses.fields(record):
        if "rule" in field.metadata:
            rules[field.name] = field.metadata["rule"]
        else:
            group = fields_of(field.default)
            rules |= {
                f"{field.name}.{name}": rule
                for name, rule in group.items()
                if name not in field.metadata.get("filled", ())
            }
    return rules


def part_of(record: type[_T], config: Any) -> _T:
    """The record with the values of the fields that a larger one has under the same names."""
    names = [field.name for field in dataclasses.fields(record)]  # type: ignore[arg-type]
    return record(**{name: getattr(config, name) for name in names})


def check(name: str, value: object, field: Field) -> None:
    """Rejects a value that a field does not allow; None passes if the field may be unset.

    Raises:
      InputError: `name`, the value and the rule.
    """
    if not (field.passes(value) or (field.may_be_unset and value is None)):
        hint = field.hint(value) if field.hint else ""
        raise refusal(name, value, field.allowed + hint, choices=field.choices)
