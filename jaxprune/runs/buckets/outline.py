"""A workdir, or the files of one in a bucket that a reader needs, with empty files in place of the others."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxprune.base.errors import InputError, copy_of
from jaxprune.base.files.store import Store, is_address

_MOST = 1 << 20  # bytes of a small file


def is_small(name: str, size: int) -> bool:
    """Whether an object is a small JSON file, which status needs."""
    return name.endswith(".json") and size <= _MOST


def is_no_weight(name: str, size: int) -> bool:
    """Whether an object has no weights of a model, as a page needs."""
    del size
    return not (name.endswith((".safetensors", ".gguf")) or name.startswith("checkpoint/"))


@contextlib.contextmanager
def outline(place: str, is_needed: Callable[[str, int], bool] = is_small) -> Iterator[Path]:
    """A workdir; of one in a bucket a local folder, whose files have the times of the objects.

    Args:
      place: a folder or an address.
      is_needed: (name, bytes) of an object → whether its content is.

    Raises:
      InputError: nothing at the address.
    """
    if not is_address(place):
        yield Path(place).expanduser()
        return
    store = Store(place, place)
    objects = store.facts()
    if not objects:
        raise InputError(f"{place}: no such folder in the bucket, or it is empty")
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / store.address.rpartition("/")[2]
        store.download(
            [name for name, (size, _) in objects.items() if is_needed(name, size)], workdir
        )
        for name, written in store.times().items():
            file = workdir / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            os.utime(file, (written, written))
        with copy_of(workdir, place):
            yield workdir
