"""An .npz file ↔ plain arrays; never unpickles."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.errors import InputError


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
      InputError: the file is damaged, or contains anything but plain arrays.
    """
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return dict(archive)
        except MemoryError:
            raise
        except Exception as error:  # numpy and zipfile raise errors of many types for damaged files
            raise InputError(f"{path}: damaged, or no .npz of plain arrays") from error
