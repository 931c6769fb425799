"""Locks in `<workdir>/progress`. The system frees a lock when its owner ends, also if it is killed."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest

PROGRESS = "progress"
LOCK = "lock"  # of the whole workdir


class LockedError(InputError):
    """Another job has the lock."""


@contextlib.contextmanager
def locked(
    workdir: Path, name: str = LOCK, *, shared: bool = False, wait: bool = False
) -> Iterator[None]:
    """Holds a lock; creates a missing workdir, and removes it and `progress/` with the lock if they are empty.

    Args:
      workdir: the folder to lock.
      name: file of the lock in `progress/`.
      shared: whether other jobs may share the lock.
      wait: whether to wait for the lock.

    Raises:
      LockedError: another job has the lock.
    """
    kind, is_new = fcntl.LOCK_SH if shared else fcntl.LOCK_EX, not workdir.exists()
    try:
        file = _acquired(workdir, name, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(
            f"--workdir: another run is writing to {workdir}; choose another folder"
        ) from None
    with file:
        try:
            yield
        finally:
            _remove(workdir / PROGRESS / name, file)
            if is_new:
                manifest.remove_if_empty(workdir)


def _acquired(workdir: Path, name: str, operation: int) -> TextIO:
    """The locked file. The last owner may have removed it, or the folder, while this job waited."""
    lock = workdir / PROGRESS / name
    while True:
        workdir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (workdir / PROGRESS).mkdir()
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
            file = stack.enter_context(lock.open("a"))
            fcntl.flock(file, operation)
            if os.path.samestat(os.fstat(file.fileno()), lock.stat()):
                stack.pop_all()
                file.truncate(0)
                file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
                file.flush()
                return file


def _remove(lock: Path, file: TextIO) -> None:
    """Removes the file of a lock that no other job shares."""
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.unlink(missing_ok=True)
        manifest.remove_if_empty(lock.parent)
