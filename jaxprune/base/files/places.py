"""A path or address that a user names → a local path."""

import fcntl
import functools
import hashlib
from pathlib import Path

from jaxprune.base.errors import register_copy
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.store import Store, is_address
from jaxprune.base.files.whole import user_cache, write_json

_OBJECTS = ".objects.json"  # the size and the tag of each object that was downloaded


def local_path(place: str | Path) -> Path:
    """The path that a user names.

    `~` is expanded. A folder in a bucket (s3://…, gs://…) is downloaded to the user's cache, at most once in a process;
    files of an earlier download that have not changed since are kept. The .bin files of a
    model with safetensors files are omitted.

    Raises:
      InputError: an address of another form, or the extra of its store is not installed.
      FileNotFoundError: there is nothing at the address.
      OSError: the store cannot be reached or refuses.
    """
    text = str(place)
    if not is_address(text):
        return Path(text).expanduser()
    return _downloaded(text)


@functools.cache
def _downloaded(address: str) -> Path:
    store = Store(address, address)
    objects = store.facts()
    if not objects:
        raise FileNotFoundError(f"{address}: no such folder in the bucket, or it is empty")
    # beside safetensors files, .bin files have the same weights again
    if any(name.endswith(".safetensors") for name in objects):
        objects = {name: facts for name, facts in objects.items() if not name.endswith(".bin")}
    base = user_cache("buckets") / hashlib.sha256(store.address.encode()).hexdigest()[:16]
    folder = base / store.address.rpartition("/")[2]
    folder.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = base / _OBJECTS
        old = read_json(record)
        kept = {
            name: facts
            for name, facts in objects.items()
            if old.get(name) == [*facts] and (folder / name).is_file()
        }
        # a size of -1 marks the files that are being downloaded, in case this process is killed
        write_json(record, {**dict.fromkeys(objects, (-1, "")), **kept})
        for name in old.keys() - kept.keys():
            (folder / name).unlink(missing_ok=True)
        store.download(objects.keys() - kept.keys(), folder)
        write_json(record, objects)
    register_copy(folder, address)
    return folder
