"""Errors that are the user's to mend: one line, no traceback."""

import reprlib
from collections.abc import Iterable

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 120
_MOST_NAMES = 12


class InputError(ValueError):
    """Bad input. The message says in one line where and what is wrong and what would be right."""


def shown(value: object) -> str:
    """A value from a file as an error may show it: on one line and not endless, however deep."""
    return _SHORT.repr(value)


def listed(names: Iterable[object]) -> str:
    """Names from a file as an error may list them; those that are no plain words stand in quotes."""
    texts = [str(name) for name in names]
    plain = [name if name.isidentifier() and len(name) <= 60 else shown(name) for name in texts]
    return ", ".join(plain[:_MOST_NAMES]) + (", …" if len(plain) > _MOST_NAMES else "")
