"""Ranges of lines, as 300-499: the rule of a field, and the lines of a range."""

import operator
import re
from collections.abc import Sequence
from typing import Any, TypeVar

from jaxprune.base.errors import InputError
from jaxprune.base.schema import check, rule

_Line = TypeVar("_Line")


def line_range(meaning: str = "") -> Any:
    """A field for the first and the last line of a range, as 300-499, counted from 0."""
    return rule(
        "the first and the last line, counted from 0, as 0-299",
        lambda value: isinstance(value, str) and operator.le(*_bounds(value)),
        meaning=meaning,
    )


def lines_of(
    texts: Sequence[_Line], lines: str | None, field: str, where: object
) -> Sequence[_Line]:
    """The lines of a `line_range`; all if it is None.

    Args:
      field: name of the field, for messages.
      where: the source of the lines, for messages.

    Raises:
      InputError: not a range, or its end is beyond the last line.
    """
    check(field, lines, line_range())
    if lines is None:
        return texts
    first, last = _bounds(lines)
    if last >= len(texts):
        raise InputError(
            f"{field}: got {lines!r}; {where} has {len(texts):,} lines; expected up to {len(texts) - 1}"
        )
    return texts[first : last + 1]


def _bounds(lines: str) -> tuple[int, int]:
    """The first and the last line; (1, 0) for any other text."""
    match = re.fullmatch(r"([0-9]{1,12})-([0-9]{1,12})", lines)
    return (int(match[1]), int(match[2])) if match else (1, 0)
