"""Rules for values: the fields of a config, the keys of a task file, the arguments of functions.

Each subpackage declares the config fields that it reads as a `config_record`, with a rule for each field.
"""

import dataclasses
import math
import numbers
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar, dataclass_transform

from jaxprune.base.errors import InputError, invalid_value

_T = TypeVar("_T")


@dataclass(frozen=True)
class Field:
    """A rule for one value.

    Attributes:
      allowed: the rule in words, for messages.
      passes: whether a value other than None is allowed; with `parse`, whether it can be parsed at all.
      default: None if it may be unset; a config then has a placeholder of type `kind`.
      choices: all allowed values, if they can be listed.
      kind: type of the value.
      meaning: purpose of the value, for `--help` and the page of settings.
      required: the value has no default and must be set; a key of a file must be present.
      hint: the end of the message for a wrong value, if the closest choice would mislead.
      parse: the text of a config → the value inside. Raises ValueError for a text that is not allowed, InputError with
        the last part of the field's name in front for one that needs an explanation.
      write: the value inside → its text.
    """

    allowed: str
    passes: Callable[[Any], bool]
    default: Any = None
    choices: tuple[str, ...] = ()
    kind: type = str
    meaning: str = ""
    required: bool = False
    hint: Callable[[object], str] | None = None
    parse: Callable[[str], Any] | None = None
    write: Callable[[Any], str] = lambda items: ",".join(map(str, items))

    def text(self, value: Any) -> Any:
        """The value as in a config: the text of a parsed one."""
        return value if self.parse is None or value is None else self.write(value)

    def typed(self, text: str) -> Any:
        """A text converted to the field's type; one that cannot be converted stays, and the rule rejects it."""
        kind = self.kind if self.default is None else type(self.default)
        if kind is bool:
            return {"true": True, "false": False}.get(text.lower(), text)
        try:
            return kind(text) if kind in (int, float) else text
        except ValueError:
            return text

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


def comma_separated(text: str) -> tuple[str, ...]:
    """The parts of a text, without white space around them."""
    return tuple(part.strip() for part in text.split(","))


def several(
    allowed: str, item: str | Iterable[str], default: str | None = None, meaning: str = "", *,
    kind: Callable[[str], Any] = str, hint: Callable[[object], str] | None = None,
) -> Any:  # fmt: skip
    """Distinct items, separated by commas in a config, in a tuple inside.

    Args:
      item: a pattern that the text of an item matches, or the names of all items.
      kind: the text of an item → the item.
    """
    pattern = re.compile(item if isinstance(item, str) else "|".join(map(re.escape, item)))

    def parse(text: str) -> tuple[Any, ...]:
        parts = comma_separated(text)
        items = tuple(kind(part) for part in parts if pattern.fullmatch(part))
        if len({*items}) < len(parts):
            raise ValueError(text)
        return items

    return Field(allowed, is_text, default, meaning=meaning, hint=hint, parse=parse)


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
            default = rule.default
            if rule.parse and default is not None:
                default = rule.parse(default)
            field = dataclasses.field(default=default, metadata={"rule": rule})
            setattr(declared, name, field)
    return dataclass(frozen=True, kw_only=True)(declared)


def filled(group: type, *names: str) -> Any:
    """A group with fields, by default all, that the command fills in and its config does not set."""
    return dataclasses.field(default=group(), metadata={"filled": names or fields_of(group).keys()})


def fields_of(record: Any) -> dict[str, Field]:
    """The rules of a record's fields by name, and of its groups' fields by path, for example `calibration.kind`."""
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
    """A record filled with the fields of the same names of a larger one."""
    names = [field.name for field in dataclasses.fields(record)]  # type: ignore[arg-type]
    return record(**{name: getattr(config, name) for name in names})


def check(name: str, value: Any, field: Field) -> Any:
    """Rejects a value that a field does not allow; None passes if the field may be unset.

    Returns:
      The value, parsed if the field parses texts or lists of its items.

    Raises:
      InputError: `name`, the value and the rule.
    """
    if value is None and field.may_be_unset:
        return None
    if field.parse and isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    if field.passes(value):
        try:
            return field.parse(value) if field.parse else value
        except InputError as error:
            group = name.rpartition(".")[0]
            raise InputError(f"{group}.{error}" if group else str(error)) from None
        except ValueError:
            pass
    hint = field.hint(value) if field.hint else ""
    raise invalid_value(name, value, field.allowed + hint, choices=field.choices)


def checked(record: type[_T], values: Mapping[str, Any], where: str = "") -> _T:
    """The record of some values, each checked; fields without a value have their defaults.

    Args:
      where: prefix of the names, for messages.
    """
    rules = fields_of(record)
    return record(
        **{name: check(where + name, value, rules[name]) for name, value in values.items()}
    )


def texts_of(record: Any) -> dict[str, Any]:
    """The values of a record and its groups as in a config, sorted by name."""
    texts = {}
    for field in sorted(dataclasses.fields(record), key=lambda field: field.name):
        value, rule = getattr(record, field.name), field.metadata.get("rule")
        texts[field.name] = rule.text(value) if rule else texts_of(value)
    return texts
