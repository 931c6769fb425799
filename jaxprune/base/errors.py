"""Errors that the user can correct: one line, no traceback."""

import contextlib
import difflib
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

_MOST_NAMES = 12
_LONGEST = 1900  # characters of a message
_END = 500  # characters kept of its end, which says what is allowed
# Longest value, in characters, that is compared with names: the time grows with its square.
_LONGEST_HINTED = 100


# Local copy of a folder in a bucket → its address, which messages name.
_ADDRESSES: dict[str, str] = {}

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120


class InputError(ValueError):
    """Bad input. The message is one line: the place (in a bucket its address), the fault, and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(with_addresses(message)))

    def add_note(self, note: str) -> None:
        """Adds nothing: JAX would add two lines about its own frames."""


def one_line(message: str) -> str:
    """A message that a terminal can display, whatever file names and values it contains.

    Characters that are not printable are escaped: line breaks, control characters, changes of writing direction,
    lone surrogates. The middle of a long message is omitted.
    """
    shorter = _without_middle(message)
    return _without_middle("".join(c if c.isprintable() else repr(c)[1:-1] for c in shorter))


def _without_middle(message: str) -> str:
    if len(message) <= _LONGEST:
        return message
    return f"{message[: _LONGEST - _END]} … {message[-_END:]}"


class TerminatedError(Exception):
    """SIGTERM ended the run; finished work is kept. The message gives the last finished layer."""


def invalid_value(
    where: object, got: object, allowed: str | Iterable[str], *, choices: Iterable[str] = ()
) -> InputError:
    """The error "{where}: got {got}; expected {allowed}", to be raised.

    Args:
      where: field, argument or file.
      got: the value; for None the message is "not set".
      allowed: the rule in words, or all allowed values, which then are also `choices`.
      choices: allowed values; the message suggests the one closest to `got`.
    """
    if not isinstance(allowed, str):
        choices = tuple(allowed)
        allowed = ", ".join(choices)
    value = repr(got) if isinstance(got, str) else shown(got)
    problem = "not set" if got is None else f"got {value}"
    return InputError(f"{where}: {problem}; expected {allowed}{did_you_mean(got, choices)}")


def check_equal(
    where: str, first: Mapping[str, object], second: Mapping[str, object], allowed: str
) -> None:
    """Rejects two records that are not equal; the message has the first name whose values differ."""
    for name in [*first, *second]:
        first_value, second_value = first.get(name, "missing"), second.get(name, "missing")
        if first_value != second_value:
            raise InputError(
                f"{where}: {name} is {first_value} in the first and {second_value} in the second; expected {allowed}"
            )


def register_copy(folder: Path, address: str) -> None:
    """Makes all later messages name an address in a bucket in place of its local copy."""
    _ADDRESSES[str(folder)] = address.rstrip("/")


@contextlib.contextmanager
def copy_of(folder: Path, address: str) -> Iterator[None]:
    """Makes messages in this context name an address in a bucket in place of its local copy."""
    register_copy(folder, address)
    try:
        yield
    finally:
        del _ADDRESSES[str(folder)]


def with_addresses(message: str) -> str:
    """A message with the addresses of folders in buckets in place of their local copies."""
    for folder, address in _ADDRESSES.items():
        message = message.replace(folder, address)
    return message


def did_you_mean(value: object, choices: Iterable[str]) -> str:
    """The end of a message: the choice closest to the value; empty if none is close."""
    text = value[:_LONGEST_HINTED] if isinstance(value, str) else shown(value)
    close = difflib.get_close_matches(text, list(choices), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def shown(value: object) -> str:
    """A value from a file, for an error message: one short line, whatever its depth."""
    return _SHORT.repr(value)


def quoted(name: object) -> str:
    """A name from a file, for an error message: in quotes unless it is a plain word."""
    text = str(name)
    return text if re.fullmatch(r"[\w/-]{1,60}", text) else shown(text)


def listed(names: Iterable[object], between: str = ", ") -> str:
    """Names from a file, for an error message: the first few, and the number of the rest."""
    all_names = list(names)
    first, omitted = between.join(map(quoted, all_names[:_MOST_NAMES])), all_names[_MOST_NAMES:]
    return first + (f" and {len(omitted):,} more" if omitted else "")
