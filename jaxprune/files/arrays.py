"""An .npz file ↔ plain arrays; never unpickles."""

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.errors import InputError
from jaxprune.files.regular import check_regular

# The most bytes that the arrays of an .npz may have, or this many times its size if that is more:
# a few thousand bytes of deflated zeros can inflate to any size.
_INFLATED = 64 << 20
_RATIO = 20
# Errors of zipfile for a file that is damaged or not a zip.
BROKEN_ZIP = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
    *(TypeError, ValueError, OverflowError),
    RuntimeError,  # encrypted; NotImplementedError: a compression that zipfile does not support
)
# The header that np.save writes. Only such headers reach numpy's parser, which evaluates them as Python.
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>[<>|=]?[biufcUSV][1-9]\d{0,8})', ?"
    rb"'fortran_order': (?:True|False), ?"
    rb"'shape': \((?P<shape>(?:(?:0|[1-9]\d{0,18}), ?)*(?:0|[1-9]\d{0,18})?)\),? ?\} *\n",
    re.DOTALL,
)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file atomically; it is on disk when this returns."""
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as out:
        np.savez(out, **dict[str, Any](arrays))
        out.flush()
        os.fsync(out.fileno())
    os.replace(unfinished, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; never unpickles.

    Raises:
      InputError: the file is damaged, contains anything but plain arrays, or would inflate to more than 64 MiB and
        20 times its size.
    """
    allowed = max(_INFLATED, _RATIO * check_regular(path).st_size)
    with path.open("rb") as file:
        try:
            if file.read(2) != b"PK":  # zipfile would find a zip after other content
                raise ValueError("no zip file")
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                claimed = sum(member.file_size for member in members)
                if claimed > allowed:
                    raise InputError(
                        f"{path}: would inflate to {claimed} bytes, at most {allowed} allowed; "
                        "larger arrays must be saved uncompressed"
                    )
                arrays = {m.filename.removesuffix(".npy"): _array(archive, m) for m in members}
        except InputError:
            raise
        except BROKEN_ZIP as error:
            raise InputError(f"{path}: damaged, or no .npz of plain arrays") from error
    if len(arrays) < len(members):
        raise InputError(f"{path}: two of its arrays have the same name")
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, if its header agrees with the member's size."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("neither stored nor deflated")
    with archive.open(member) as file:
        start = file.peek(512)  # type: ignore[attr-defined]  # a ZipExtFile has it
        header = _NPY_HEADER.match(start)
        if header is None or int.from_bytes(header["length"], "little") != header.end() - 10:
            raise ValueError("not the header of a plain array")
        count = math.prod(int(n) for n in header["shape"].split(b",") if n.strip())
        if header.end() + count * np.dtype(header["dtype"].decode()).itemsize != member.file_size:
            raise ValueError("shape and size disagree")
        return np.lib.format.read_array(file, allow_pickle=False)
