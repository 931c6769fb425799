"""Files of a workdir: written so that they are whole or not there, read so that a broken one is named."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.errors import InputError

# Folders are filled in here: a level deeper than whole ones, so that nobody takes one for such.
UNFINISHED = "unfinished.new"


def write_text(path: Path, text: str) -> None:
    """Writes a file that is either whole or not there."""
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


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
    except ValueError as error:
        raise InputError(f"{path}: broken, {error}; expected JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object")
    return value


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file; never runs a pickle.

    Raises:
      InputError: a damaged file, or one with other things than plain arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile):
        raise InputError(f"{path}: damaged, or no .npz of plain arrays") from None


def short_names(folders: Sequence[Path]) -> list[str]:
    """As many of the last parts of each path as tell the folders apart."""
    resolved = [folder.expanduser().resolve() for folder in folders]
    parts, most = 1, max(len(folder.parts) for folder in resolved)
    while len({folder.parts[-parts:] for folder in resolved}) < len(resolved) and parts < most:
        parts += 1
    return ["/".join(folder.parts[-parts:]).lstrip("/") or "/" for folder in resolved]
