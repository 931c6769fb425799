"""Files from outside, opened only if they are regular: reading a pipe may block, reading a device may never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from jaxprune.errors import InputError

_LONGEST_LINE = 64 << 20  # bytes; a file without line breaks may be larger than memory


def check_regular(path: Path) -> os.stat_result:
    """The status of a regular file, links followed.

    Raises:
      InputError: a folder, pipe, socket or device.
      FileNotFoundError: no such file.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path}: not a regular file; expected one")
    return found


def open_regular(path: Path) -> BinaryIO:
    """A file opened for reading; raises as `check_regular`."""
    check_regular(path)
    return path.open("rb")


def read_regular(path: Path) -> bytes:
    """The bytes of a file; raises as `check_regular`."""
    with open_regular(path) as file:
        return file.read()


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without byte order mark and with \\n for \\r\\n.

    Raises:
      InputError: names a line that is not UTF-8 or is too long.
    """
    lines: list[bytes] = []
    with open_regular(path) as file:
        while part := file.readline(_LONGEST_LINE + 1):
            lines.append(part)
            if len(part) > _LONGEST_LINE:
                raise InputError(
                    f"{path}:{len(lines)}: a line of more than {_LONGEST_LINE >> 20} MiB; expected text in lines"
                )
    raw = b"".join(lines)
    try:
        return raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{path}:{line}: byte {error.start} is not UTF-8") from None
