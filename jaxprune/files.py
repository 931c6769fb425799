"""Files of a workdir: written so that they are whole or not there, read so that a broken one is named."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np

from jaxprune.errors import InputError

Record = TypeVar("Record")

# Folders are filled in here: a level deeper than whole ones, so that nobody takes one for such.
UNFINISHED = "unfinished.new"

# What the arrays of an .npz may hold, in bytes, or in sizes of the file if that is more: a few
# thousand bytes of deflated zeros can stand for any amount of memory.
_INFLATED = 64 << 20
_RATIO = 20
# As np.save writes it. Nothing else reaches numpy's parser, which evaluates the header as Python.
_NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>[<>|=]?[biufcUSV][1-9]\d{0,8})', ?"
    rb"'fortran_order': (?:True|False), ?"
    rb"'shape': \((?P<shape>(?:(?:0|[1-9]\d{0,18}), ?)*(?:0|[1-9]\d{0,18})?)\),? ?\} *\n",
    re.DOTALL,
)


def write_text(path: Path, text: str) -> None:
    """Writes a file that is either whole or not there."""
    unfinished = path.with_name(path.name + ".new")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON file that is either whole or not there."""
    write_text(path, json.dumps(value, indent=2) + "\n")


@contextlib.contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block ends without an error; no older one may be there."""
    unfinished = folder.parent / UNFINISHED / folder.name
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    unfinished.rename(folder)
    unfinished.parent.rmdir()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty where there is no file.

    Raises:
      InputError: no JSON, or no object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: broken, {error}; expected JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
    return value


# Metadata of a record's field that has no key in JSON while it is None.
LEFT_OUT_IF_NONE: Mapping[str, bool] = {"left out if None": True}


def to_json(value: Any) -> Any:
    """A frozen dataclass as JSON has it: an object with a key for each field, in their order; tuples become lists."""
    if dataclasses.is_dataclass(value):
        return {
            field.name: to_json(content)
            for field in dataclasses.fields(value)
            if (content := getattr(value, field.name)) is not None
            or field.metadata != LEFT_OUT_IF_NONE
        }
    if isinstance(value, Mapping):
        return {key: to_json(content) for key, content in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(content) for content in value]
    return value


def from_json(kind: type[Record], value: object, where: str) -> Record:
    """The record that `to_json` wrote as `value`; other keys are passed over.

    Args:
      kind: a dataclass. A field with a default may be missing.
      where: the file, for messages.

    Raises:
      InputError: a key is missing or holds something else; names it. Or text holds half a surrogate pair,
        which JSON can escape and UTF-8 has not.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise InputError(f"{where}: {error}") from None


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; never runs a pickle.

    Raises:
      InputError: a damaged file, one with other things than plain arrays, or one that would inflate
        to more than 64 MiB and 20 times its size.
    """
    allowed = max(_INFLATED, _RATIO * path.stat().st_size)
    with path.open("rb") as file:
        try:
            if file.read(2) != b"PK":  # zipfile would find a zip behind anything else
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
        except (
            *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
            *(TypeError, ValueError, OverflowError),
            RuntimeError,  # encrypted; NotImplementedError: a method that zipfile does not know
        ) as error:
            raise InputError(f"{path}: damaged, or no .npz of plain arrays") from error
    if len(arrays) < len(members):
        raise InputError(f"{path}: two of its arrays have one name")
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One array, once its header is known to agree with the member's size."""
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


def short_names(folders: Sequence[Path]) -> list[str]:
    """As many of the last parts of each path as tell the folders apart."""
    resolved = [folder.expanduser().resolve() for folder in folders]
    parts, most = 1, max(len(folder.parts) for folder in resolved)
    while len({folder.parts[-parts:] for folder in resolved}) < len(resolved) and parts < most:
        parts += 1
    return ["/".join(folder.parts[-parts:]).lstrip("/") or "/" for folder in resolved]
