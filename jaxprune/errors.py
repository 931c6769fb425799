"""Errors that are the user's to mend: one line, no traceback."""

import difflib
import os.path
import reprlib
from collections.abc import Iterable

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120
_MOST_NAMES = 12


class InputError(ValueError):
    """Bad input. The message says in one line where and what is wrong and what would be right."""


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
    said = "not set" if got is None else f"got {got!r}"
    return InputError(f"{where}: {said}; allowed: {allowed}{did_you_mean(got, choices)}")


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """The end of a message that names the choice closest to the value; empty where none is close."""
    close = difflib.get_close_matches(str(value), list(choices), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: object) -> str:
    """A value from a file as an error may show it: on one line and not endless, however deep."""
    return _SHORT.repr(value)


def listed(names: Iterable[object]) -> str:
    """Names from a file as an error may list them; those that are no plain words stand in quotes."""
    texts = [str(name) for name in names]
    plain = [name if name.isidentifier() and len(name) <= 60 else shown(name) for name in texts]
    return ", ".join(plain[:_MOST_NAMES]) + (", …" if len(plain) > _MOST_NAMES else "")


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
