"""Files from outside, opened only where they are files: a pipe may never give a byte, a device never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from jaxprune.errors import InputError


def check_regular(path: Path) -> os.stat_result:
    """What the system tells of a regular file; links are followed.

    Raises:
      InputError: a folder, pipe, socket or device.
      FileNotFoundError: there is nothing.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a regular file; expected one")
    return found


def open_regular(path: Path) -> BinaryIO:
    """A file to be read; raises as `check_regular`."""
    check_regular(path)
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a file; raises as `check_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, without a byte order mark; InputError with the line where it is not."""
    raw = read_regular(path)
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: byte {error.start} is not UTF-8") from None
