"""A local workdir → the objects of its bucket, in an order that never shows half of a result.

A *marker* completes other files: report.json those of a run, files.json those of a folder. It has their digests, so it
changes with them: it is removed before any of them changes, and uploaded last. A journal lists the files of results
while they are uploaded, so that the next owner neither reads nor keeps what a killed one left.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from jaxprune.base.files import manifest
from jaxprune.base.files.store import Store
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.base.workdir.locks import PROGRESS
from jaxprune.runs.buckets.ownership import is_owner
from jaxprune.runs.run import COMMIT

_JOURNAL = "progress/uploads.json"
_MARKERS = (manifest.TABLE, REPORT)  # in the order of their upload
_Facts = tuple[int, int]  # size and time of the last change


class Mirror:
    """The copy of a workdir in a bucket.

    Args:
      store: store of the workdir, which this process owns.
      folder: the local workdir, which is empty.

    Attributes:
      uploaded: bytes that were uploaded.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self.uploaded = 0
        objects = {name: size for name, (size, _) in store.facts().items() if not is_owner(name)}
        interrupted = _interrupted(store, objects) & objects.keys()
        store.download(objects.keys() - interrupted - {_JOURNAL}, folder)
        # The state of each file in the bucket; None for an object to be replaced or removed.
        self._sent: dict[str, _Facts | None] = {**self._local(), **dict.fromkeys(interrupted)}

    def push(self) -> None:
        """Uploads files that are new or changed, and removes the objects of files that are gone."""
        local = self._local()
        touched = {name for name, facts in local.items() if self._sent.get(name) != facts}
        touched |= self._sent.keys() - local.keys()
        results = {name for name in touched if not _is_progress(name)}
        if results:
            sizes = {name: local[name][0] if name in local else None for name in results}
            self._store.write(_JOURNAL, json.dumps(sizes).encode())
        self._remove(sorted(filter(_is_marker, touched & self._sent.keys()), key=_place)[::-1])
        for name in sorted(touched & local.keys(), key=_place):
            self._upload(name, local[name])
        self._remove(name for name in touched if name not in local)
        if results:
            self._store.remove([_JOURNAL])

    def _upload(self, name: str, facts: _Facts) -> None:
        try:
            self._store.upload(self._folder / name, name)
        except FileNotFoundError:
            if (self._folder / name).exists():
                raise
            return  # removed since it was listed
        self._sent[name] = facts
        self.uploaded += facts[0]

    def _remove(self, names: Iterable[str]) -> None:
        for name in [*names]:
            self._store.remove([name])
            self._sent.pop(name, None)

    def _local(self) -> dict[str, _Facts]:
        """The finished files of the workdir and of progress/ itself."""
        files = {}
        paths = (Path(folder, name) for folder, _, names in os.walk(self._folder) for name in names)
        for path in paths:
            name = path.relative_to(self._folder).as_posix()
            if _is_finished(PurePosixPath(name)):
                with contextlib.suppress(FileNotFoundError):  # renamed or removed by the run
                    status = path.stat()
                    files[name] = (status.st_size, status.st_mtime_ns)
        return files


def _interrupted(store: Store, objects: Mapping[str, int]) -> set[str]:
    """The files of an upload that was interrupted."""
    if _JOURNAL not in objects:
        return set()
    try:
        journal = json.loads(store.read(_JOURNAL))
        is_complete = all(objects.get(name) == size for name, size in journal.items())
        return set() if is_complete else {*journal}
    except (ValueError, AttributeError):  # objects appear whole, so another program wrote it
        return set()


def _is_finished(name: PurePosixPath) -> bool:
    """Whether a file is not being written: folders in progress/ are filled there, and files are renamed at the end.

    The reports in progress/ commit a run to its outputs there, which are not uploaded.
    """
    parts, unfinished = name.parts, (".new", ".lock", manifest.UNFINISHED)
    if parts[-1] == "lock" or any(part.endswith(unfinished) for part in parts):
        return False
    if PROGRESS not in parts:
        return True
    return parts.index(PROGRESS) == len(parts) - 2 and parts[-1] not in COMMIT


def _is_progress(name: str) -> bool:
    return PROGRESS in PurePosixPath(name).parts


def _is_marker(name: str) -> bool:
    return name.rpartition("/")[2] in _MARKERS and not _is_progress(name)


def _place(name: str) -> tuple[int, str]:
    """The place of a file in an upload: progress, results, markers."""
    last = name.rpartition("/")[2]
    if _is_progress(name):
        return 0, name
    return (2 + _MARKERS.index(last) if last in _MARKERS else 1), name
