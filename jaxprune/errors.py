"""Errors that are the user's to mend: one line, no traceback."""

import difflib
import os.path
import re
import reprlib
from collections.abc import Iterable, Mapping

_MOST_NAMES = 12
_LONGEST = 1900  # characters of a message
_END = 500  # of them at its end, which says what would be right
_LONGEST_HINTED = (
    100  # characters of a value that may be a name misspelled: matching takes their square
)


class _Short(reprlib.Repr):
    """Values in a few words, whatever they are: nothing in it takes long or fails."""

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to write out what has more than 4,300 digits
        return super().repr_int(x, level) if x.bit_length() < 10_000 else "a number without end"


_SHORT = _Short()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class InputError(ValueError):
    """Bad input. The message says in one line where and what is wrong and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(message: str) -> str:
    """A message as a terminal may show it, whatever names of files and values are in it.

    What is not printable stands escaped: line breaks, control characters, what turns the direction of writing, halves
    of surrogate pairs. Of a long message the middle is left out.
    """
    message = _without_middle(message)
    if message.isprintable():
        return message
    return _without_middle("".join(c if c.isprintable() else repr(c)[1:-1] for c in message))


def _without_middle(message: str) -> str:
    if len(message) <= _LONGEST:
        return message
    return f"{message[: _LONGEST - _END]} … {message[-_END:]}"


class TerminatedError(Exception):
    """SIGTERM came, and what is done is kept. The message says how far it went."""


def refusal(
    where: object, got: object, allowed: str | Iterable[str], *, choices: Iterable[str] = ()
) -> InputError:
    """The error "{where}: got {got}; allowed: {allowed}", to be raised.

    Args:
      where: field, argument or file.
      got: the value as it is; None is told as "not set".
      allowed: what passes, in words, or all values that do, which then are the choices too.
      choices: values that pass; the one closest to `got` is named as what may have been meant.
    """
    if not isinstance(allowed, str):
        choices = tuple(allowed)
        allowed = ", ".join(choices)
    said = (
        "not set"
        if got is None
        else f"got {got!r}"
        if isinstance(got, str)
        else f"got {shown(got)}"
    )
    return InputError(f"{where}: {said}; allowed: {allowed}{did_you_mean(got, choices)}")


def check_equal(
    where: str, first: Mapping[str, object], second: Mapping[str, object], allowed: str
) -> None:
    """Refuses two records of facts by name that are not equal, with the first name that differs."""
    for name in [*first, *second]:
        one, two = first.get(name, "missing"), second.get(name, "missing")
        if one != two:
            raise InputError(
                f"{where}: {name} is {one} in the first and {two} in the second; allowed: {allowed}"
            )


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """The end of a message that names the choice closest to the value; empty where none is close."""
    known = list(choices)
    text = value[:_LONGEST_HINTED] if isinstance(value, str) else shown(value)
    close = difflib.get_close_matches(text, known, n=1) if known else ()
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: object) -> str:
    """A value from a file as an error may show it: on one line and not endless, however deep."""
    return _SHORT.repr(value)


def named(name: object) -> str:
    """A name from a file as an error may show it: in quotes, unless it is a plain word."""
    text = str(name)
    return text if re.fullmatch(r"[\w/-]{1,60}", text) else shown(text)


def listed(names: Iterable[object], between: str = ", ") -> str:
    """Names from a file as an error may list them: a few, and how many more there are."""
    every = list(names)
    first = between.join(map(named, every[:_MOST_NAMES]))
    return first + (f" and {left:,} more" if (left := len(every) - _MOST_NAMES) > 0 else "")


def unusable(name: str) -> str | None:
    """Why a text from outside names no file, in words that end a message; None if it may.

    What is not UTF-8 would pass through Python, and fail in libraries when the result is written.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return "not UTF-8; allowed: another name, or PYTHONUTF8=1 where the locale is C"
    if "\0" in name:
        return "holds a NUL; allowed: another name"
    if name.startswith("~") and os.path.expanduser(name) == name:
        return "no such user; allowed: another name, or ./ before it"
    return None
