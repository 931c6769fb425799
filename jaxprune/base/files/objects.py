"""A pointer: a small file in place of an object in a bucket, of which only the parts that are read are downloaded.

The parts are kept in a file of the user's cache, at their offsets, until the object changes.
"""

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from jaxprune.base.errors import InputError
from jaxprune.base.files.outside import parse_json
from jaxprune.base.files.store import Store
from jaxprune.base.files.whole import user_cache, write_text

BUCKETS = "buckets"  # the folder of the user's cache with what comes from buckets
_FIRST = b"object in a bucket: "
_CHUNK, _AT_ONCE = 8 << 20, 8  # bytes, and how many chunks are requested at once


@dataclasses.dataclass(frozen=True, slots=True)
class Pointer:
    """An object as it was when its folder was opened.

    Attributes:
      folder: the address that the name is below.
      name: of the object.
      size: in bytes.
      tag: changes with the content.
    """

    folder: str
    name: str
    size: int
    tag: str

    def write(self, path: Path) -> None:
        """Writes the file."""
        write_text(path, _FIRST.decode() + json.dumps(dataclasses.asdict(self)) + "\n")

    def fetch(self, spans: Iterable[tuple[int, int]]) -> Path:
        """The file with the bytes between these offsets; downloads the chunks of them that it lacks.

        Raises:
          InputError: the object has changed; its new content is not kept.
          OSError: the store cannot be reached or refuses.
        """
        data, there = self._files()
        data.parent.mkdir(parents=True, exist_ok=True)
        count = -(-self.size // _CHUNK)
        with _of_size(data, self.size) as file, _of_size(there, count) as flags:
            fetched = flags.read()
            chunks = {i for a, b in spans for i in range(a // _CHUNK, min(count, -(-b // _CHUNK)))}
            missing = [i for i in sorted(chunks) if not fetched[i]]
            for start in range(0, len(missing), _AT_ONCE):
                self._download(missing[start : start + _AT_ONCE], file)
                for i in missing[start : start + _AT_ONCE]:
                    os.pwrite(flags.fileno(), b"\1", i)
        return data

    def _download(self, chunks: list[int], file: BinaryIO) -> None:
        store = _store(self.folder)
        ranges = [(i * _CHUNK, min(self.size, (i + 1) * _CHUNK)) for i in chunks]
        contents = store.read_ranges(self.name, ranges)
        # Unchanged now, the object was so when it was read.
        if store.facts(self.name).get(self.name) != (self.size, self.tag):
            raise InputError(
                f"{self.folder}/{self.name}: changed while it was read; allowed: to repeat the command"
            )
        try:
            for (start, _), content in zip(ranges, contents, strict=True):
                file.seek(start)
                file.write(content)
            file.flush()
            os.fdatasync(file.fileno())  # before the flags
        except OSError as error:
            error.filename = file.name  # the error of a full disk has no path
            raise

    def forget(self) -> None:
        """Removes the parts that were downloaded."""
        for file in self._files():
            file.unlink(missing_ok=True)

    def _files(self) -> tuple[Path, Path]:
        """The file of the parts, and that with a byte for each chunk: whether it was downloaded."""
        key = hashlib.sha256(json.dumps(dataclasses.asdict(self)).encode()).hexdigest()[:32]
        base = user_cache(BUCKETS) / "parts" / key
        return base, base.with_suffix(".chunks")


def pointer_at(path: Path) -> Pointer | None:
    """The pointer in a file; None for other files, and for all outside the user's cache."""
    if not path.is_relative_to(user_cache(BUCKETS)):
        return None
    with path.open("rb") as file:
        if file.read(len(_FIRST)) != _FIRST:
            return None
        return Pointer(**parse_json(file.read(), str(path)))


def with_bytes(path: Path, spans: Iterable[tuple[int, int]]) -> Path:
    """The file itself; for a pointer, the file that has the bytes between these offsets. Raises as `Pointer.fetch`."""
    pointer = pointer_at(path)
    return pointer.fetch(spans) if pointer else path


def _of_size(path: Path, size: int) -> BinaryIO:
    """A file of this size, made of zeros if there is none."""
    path.touch()
    file = path.open("r+b")
    file.truncate(size)
    return file


@functools.cache
def _store(address: str) -> Store:
    return Store(address, address)
