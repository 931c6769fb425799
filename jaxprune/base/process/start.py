"""The start of a command: its arguments are checked before its imports.

Imports neither JAX nor anything that imports it.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from jaxprune.base.errors import InputError, unusable
from jaxprune.base.process.ending import errors_in_one_line


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Surrounds a command with its imports; an error ends the process, see `errors_in_one_line`."""
    with errors_in_one_line():
        check_arguments(sys.argv[1:])
        yield


def check_arguments(arguments: list[str]) -> None:
    """Rejects arguments whose names libraries cannot use.

    Raises:
      InputError: names the argument and the reason.
    """
    for argument in arguments:
        if why := unusable(argument.partition("=")[2] if argument[:1] == "-" else argument):
            raise InputError(f"{argument!r}: {why}")


def cores() -> int:
    """Those that this process may use; all of the machine where the system, as macOS, does not tell."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return own or 1
