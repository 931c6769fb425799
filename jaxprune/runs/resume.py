"""What an unfinished run has finished, kept layer by layer, so that the same command goes on at the next one.

A layer's file holds its masks as bits and its sums. Pruned weights are not stored: they are the model's own under
the masks. Neither are hidden states: the passes that made them run again, so that every bit is that of a run
without interruption, on whatever number of devices.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import io
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from jaxprune.calibration import Batch, digest
from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import read_json, read_npz, write_json
from jaxprune.hf import Model
from jaxprune.passes import SiteSums
from jaxprune.pruning import FinishedLayer, PackedMasks
from jaxprune.version import __version__

FOLDER = "progress"
_RUN, _LOCK = "run.json", "lock"
_COMMIT = r"[0-9a-f]{40}"  # of a hub snapshot's folder
# Groups of the config that masks and outputs depend on; not the devices.
_FIELDS = ("model", "revision", "dtype", "compat", "seed", "calibration", "pruning", "output")


class FinishedLayers:
    """The layers that a run has finished, in `<workdir>/progress`, which no other run may write at the same time.

    Of several processes, which must all see the folder, the first one writes. As a context manager it holds the
    folder's lock, and leaves no folder behind where no layer was finished.

    Args:
      workdir: of the run.
      identity: of this run, see `identity`.
      overwrite: start afresh, whatever is there.

    Raises:
      InputError: another run writes there, or an unfinished one of another identity was left there (names
        what differs).
    """

    def __init__(self, workdir: Path, identity: Mapping[str, Any], overwrite: bool = False) -> None:
        self._folder = workdir / FOLDER
        self._lock: TextIO | None = None
        if hosts.is_first():
            self._open(workdir, identity, overwrite)
        hosts.wait("progress")
        self.layers = 0
        while self._file(self.layers).is_file():
            self.layers += 1
        if hosts.any_of(not (self._folder / _RUN).is_file()):
            raise InputError(f"--workdir: {workdir} is not the same folder on all hosts")

    def _open(self, workdir: Path, identity: Mapping[str, Any], overwrite: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if overwrite or (workdir / "report.json").is_file():  # that one was complete
                self._clear()
            self._check(workdir, identity)
        except BlockingIOError:
            self._lock.close()
            raise InputError(
                f"--workdir: another run is writing to {workdir}; allowed: another folder"
            ) from None
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> FinishedLayers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._lock is None:
            return
        if kind is not None and not self._file(0).is_file():
            shutil.rmtree(self._folder)  # nothing to go on with
        self._lock.close()

    def _clear(self) -> None:
        for file in self._folder.iterdir():
            if file.name != _LOCK:
                file.unlink()

    def _check(self, workdir: Path, identity: Mapping[str, Any]) -> None:
        before = read_json(self._folder / _RUN)
        if not before:
            self._clear()
            write_json(self._folder / _RUN, identity)
        for name in [*identity, *before] if before else []:
            then, now = before.get(name), identity.get(name)
            if then != now:
                raise InputError(
                    f"--workdir: {workdir} holds an unfinished run with {name} {then!r}, now {now!r}; "
                    "allowed: the same command, --overwrite (starts afresh), or another folder"
                )

    def _file(self, layer: int) -> Path:
        return self._folder / f"layer_{layer:05}.npz"

    def write(self, layer: int, masks: PackedMasks, sums: SiteSums) -> None:
        """Keeps a layer: on disk when this returns, whole or not at all. The first process does."""
        if self._lock is None:
            return
        tree = {"bits": masks.to_records(), "sums": sums}
        memory = io.BytesIO()
        np.savez(memory, **flatten_dict(tree, sep="|"))
        file = self._file(layer)
        unfinished = file.with_suffix(".new")
        with unfinished.open("wb") as out:
            out.write(memory.getbuffer())
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, file)
        _sync(self._folder)

    def read(self, layer: int) -> FinishedLayer | None:
        """What was kept of a layer, or None.

        Raises:
          InputError: its file is damaged.
        """
        if layer >= self.layers:
            return None
        file = self._file(layer)
        try:
            tree = unflatten_dict(read_npz(file), sep="|")
            keep = PackedMasks.from_records(tree["bits"]).unpack()
        except (InputError, KeyError, ValueError):
            raise InputError(
                f"{file}: damaged; allowed: --overwrite, which starts afresh"
            ) from None
        return FinishedLayer(keep, tree.get("sums", {}))

    def remove(self) -> None:
        """Takes the folder away: the run is complete."""
        if self._lock is not None:
            shutil.rmtree(self._folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def identity(
    model: Model, config: ConfigDict, batches: Sequence[Batch], samples_per_device: int
) -> dict[str, Any]:
    """What must be the same for a run to go on: code, versions, model files, calibration, config, micro-batch."""
    fields = {name: config[name] for name in _FIELDS if name in config}
    plain = {k: v.to_dict() if hasattr(v, "to_dict") else v for k, v in fields.items()}
    return {
        "jaxprune": f"{__version__} ({_code()})",
        **{name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy")},
        **{f"file {name}": facts for name, facts in _files(model.folder).items()},
        "calibration": digest(batches),
        "samples of a device at a time": samples_per_device,
        **{f"config.{path}": value for path, value in flatten_dict(plain, sep=".").items()},
    }


def _code() -> str:
    """A digest of this package's source."""
    sha = hashlib.sha256()
    root = Path(__file__).parents[1]
    for file in sorted(root.rglob("*.py")):
        sha.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return sha.hexdigest()[:16]


def _files(folder: Path) -> dict[str, str]:
    """Size and time of the model's files; of hub snapshots, which are named by their commit, the size alone."""
    is_snapshot = re.fullmatch(_COMMIT, folder.resolve().name) is not None
    facts = {}
    for pattern in ("config.json", "*.safetensors", "*.bin", "*.index.json"):
        for file in sorted(folder.glob(pattern)):
            with contextlib.suppress(FileNotFoundError):  # a link of a snapshot that leads nowhere
                state = file.stat()
                when = "" if is_snapshot else f", changed {state.st_mtime_ns} ns"
                facts[file.name] = f"{state.st_size} bytes{when}"
    return facts
