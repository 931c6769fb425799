"""A row of the table of faults, and what several modules of rows make it of."""

import contextlib
import errno
import os
import resource
import shutil
from collections.abc import Callable
from typing import NamedTuple

from faults.place import Place


class Fault(NamedTuple):
    """A way to go wrong: makes it and gives the command, what the line says, the exit code."""

    command: Callable[[Place], list]
    says: str
    code: int = 2


def full_disk(place, owner, name):
    """Lets a function fail as on a full disk."""

    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place.patch.setattr(owner, name, fail)


def little_space(place):
    """What the system says of a full disk."""
    usage = shutil.disk_usage(place.folder)._replace(free=1000)
    place.patch.setattr(shutil, "disk_usage", lambda path: usage)


@contextlib.contextmanager
def file_size_limit(nbytes):
    """The system refuses to write larger files, in whatever library."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def limited(place, nbytes):
    place.keep(file_size_limit(nbytes))


def both(*steps):
    """The command of the last step, after the others."""
    return steps[-1]
