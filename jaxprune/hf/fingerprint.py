"""A model's files → a digest of their content, which identifies the model.

Names, sizes and times can be equal for different bytes, so bytes are hashed. The user's cache keeps the digest of a
file while its inode and change time (ctime) stay the same; unlike the modification time, no program can set it.
"""

import contextlib
import dataclasses
import hashlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.digests import combined
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import user_cache, write_json

# A file may change twice within one tick of the file system's clock; digests of newer files are not cached.
_TICK = 2.0  # seconds


class FileState(NamedTuple):
    """The status of a file, which changes with every write to it."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """The content of a model's files at one time.

    Attributes:
      digests: SHA-256 of each file by name; of a model in memory under the key "parameters".
      states: states of these files and of others that must not change, by path.
    """

    digests: Mapping[str, str]
    states: Mapping[Path, FileState]

    @classmethod
    def of(
        cls, files: Iterable[Path], opened: Mapping[Path, FileState] | None = None
    ) -> "Fingerprint":
        """Reads the files, or takes their digests from the cache.

        Args:
          files: files of the parameters and their config.
          opened: `states_in` their folder, taken before any file was opened.

        Raises:
          InputError: a file changes during the read.
        """
        paths = sorted(files, key=lambda path: path.name)
        states = {path: file_state(path) for path in paths}
        digests = {path.name: _file_digest(path, states[path]) for path in paths}
        fingerprint = cls(digests, {**states, **(opened or {})})
        fingerprint.check_unchanged()
        return fingerprint

    @property
    def digest(self) -> str:
        """SHA-256 over all digests."""
        return combined(self.digests)

    def check_unchanged(self) -> None:
        """Rejects files that changed: reads since then may mix two models.

        Raises:
          InputError: names the file.
        """
        for path, state in self.states.items():
            if file_state(path) != state:
                raise InputError(f"{path}: changed while it was read; repeat the command")


def files_in(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files in a folder whose names match any of the patterns."""
    return sorted({p for pattern in patterns for p in folder.glob(pattern) if p.is_file()})


def states_in(folder: Path, patterns: Iterable[str]) -> dict[Path, FileState]:
    """The states of files in a folder; reads no content."""
    return {path: file_state(path) for path in files_in(folder, patterns)}


def file_state(path: Path) -> FileState:
    """The state of a file; InputError if it is missing."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path}: removed since the model was opened") from None
    times = status.st_mtime_ns, status.st_ctime_ns
    return FileState(status.st_dev, status.st_ino, status.st_size, *times)


def exported_digest(files: Mapping[str, tuple[int, str]]) -> str:
    """The `Fingerprint.digest` of a folder that this package wrote, from its table of files."""
    names = (name for name in files if name == "config.json" or name.endswith(".safetensors"))
    return combined({name: files[name][1] for name in names})


def digest_of_arrays(tree: Any) -> str:
    """SHA-256 of all leaves of a tree, with their paths, dtypes and shapes."""
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.ascontiguousarray(leaf)
        sha.update(f"{jax.tree_util.keystr(path)} {array.dtype} {array.shape}\n".encode())
        sha.update(array.reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def _file_digest(path: Path, state: FileState) -> str:
    entry = user_cache("sha256") / f"{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()}.json"
    # A damaged or unreadable entry counts as missing.
    with contextlib.suppress(InputError, OSError):
        cached = read_json(entry)
        if cached.get("state") == [*state]:
            return cached["sha256"]
    sha256 = manifest.file_facts(path)[1]
    if time.time() - state.changed_ns / 1e9 > _TICK:
        with contextlib.suppress(OSError):  # without a cache, digests are recomputed
            entry.parent.mkdir(parents=True, exist_ok=True)
            write_json(entry, {"state": state, "sha256": sha256})
    return sha256
