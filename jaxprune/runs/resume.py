"""What an unfinished run has finished, kept layer by layer, so that the same command goes on at the next one.

A layer's file holds its masks as bits, the weights that were changed and its sums. Other weights are not stored: they
are the model's own under the masks. Neither are hidden states: the passes that made them run again, so that every bit
is that of a run without interruption, on whatever number of devices.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import check_regular, read_as, sealed, write_json
from jaxprune.ledger import FOLDER, LAYERS, OUTPUTS, PUBLISHED, Begun, difference, digest_of_rest
from jaxprune.pruning import FinishedLayer
from jaxprune.runs.layer_file import layer_file, read_layer, write_layer

_RUN, _LOCK = "run.json", "lock"


class FinishedLayers:
    """The layers that a run has finished, in `<workdir>/progress`, which no other run may write at the same time.

    Of several processes, which must all see the folder, the first one writes. As a context manager it holds the
    folder's lock, and leaves no folder behind where no layer was finished.

    Args:
      workdir: of the run.
      identity: of this run, see `identity`.
      samples_per_device: how many a device takes at a time, which a run that goes on does not change.
      overwrite: start afresh, whatever is there.

    Attributes:
      folder: where the run fills its outputs.
      layers: how many are finished.

    Raises:
      InputError: another run writes there, or an unfinished one of another identity was left there (names
        what differs).
    """

    def __init__(
        self,
        workdir: Path,
        identity: Mapping[str, Any],
        samples_per_device: int,
        overwrite: bool = False,
    ) -> None:
        self.folder = workdir / FOLDER
        self._lock: TextIO | None = None
        if hosts.is_first():
            self._open(workdir, identity, samples_per_device, overwrite)
        hosts.wait("progress")
        self.layers = 0
        while self._file(self.layers).is_file():
            self.layers += 1
        if hosts.any_of(not (self.folder / _RUN).is_file()):
            raise InputError(f"--workdir: {workdir} is not the same folder on all hosts")

    def _open(
        self,
        workdir: Path,
        identity: Mapping[str, Any],
        samples_per_device: int,
        overwrite: bool,
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = self.folder / _LOCK
        if lock.exists():
            check_regular(lock)
        self._lock = lock.open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if overwrite:
                self._clear()
            self._check(workdir, identity, samples_per_device)
            self._clear_outputs()
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
            self._clear()  # nothing to go on with
            self._remove_folder()
        self._lock.close()

    def _clear(self) -> None:
        """Takes away what a run keeps here, and nothing else."""
        (self.folder / _RUN).unlink(missing_ok=True)
        shutil.rmtree(self.folder / LAYERS, ignore_errors=True)
        self._clear_outputs()

    def _clear_outputs(self) -> None:
        for name in OUTPUTS:
            if name != LAYERS:  # which a run goes on with
                shutil.rmtree(self.folder / name, ignore_errors=True)
                sealed.discard(self.folder / name)

    def _remove_folder(self) -> None:
        (self.folder / _LOCK).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else is in it, and stays
            self.folder.rmdir()

    def _check(self, workdir: Path, identity: Mapping[str, Any], samples_per_device: int) -> None:
        before = _begun(workdir)
        if before is None:
            self._clear()
            about = {"identity": identity, "samples_per_device": samples_per_device}
            write_json(self.folder / _RUN, {**about, "sha256": digest_of_rest(about)})
        elif differs := difference(before.get("identity", {}), identity):
            raise InputError(
                f"--workdir: {workdir} holds an unfinished run with {differs}; "
                "allowed: the same command, --overwrite (starts afresh), or another folder"
            )

    def _file(self, layer: int) -> Path:
        return layer_file(self.folder / LAYERS, layer)

    def write(self, layer: int, finished: FinishedLayer) -> None:
        """Keeps a layer: on disk when this returns, whole or not at all. The first process does."""
        if self._lock is not None:
            self._file(layer).parent.mkdir(exist_ok=True)
            write_layer(self._file(layer), finished)

    def read(self, layer: int) -> FinishedLayer | None:
        """What was kept of a layer, or None.

        Raises:
          InputError: its file is damaged.
        """
        return read_layer(self._file(layer)) if layer < self.layers else None

    def seal(self) -> None:
        """Makes an output of the layers, which are what tells the pruned model from the dense one."""
        if self._lock is not None:
            for left in (self.folder / LAYERS).glob("*.new"):
                left.unlink()
            sealed.seal(self.folder / LAYERS)

    def remove(self) -> None:
        """Takes the folder away: the run is complete."""
        if self._lock is not None:
            self._clear()
            for name in PUBLISHED:
                (self.folder / name).unlink(missing_ok=True)
            self._remove_folder()


def begun_with(workdir: Path) -> int | None:
    """The samples of a device at a time that an unfinished run began with; None where there is none."""
    return (_begun(workdir) or {}).get("samples_per_device")


def _begun(workdir: Path) -> Begun | None:
    """What run.json says; None where there is none, or nothing in it."""
    file = workdir / FOLDER / _RUN
    try:
        begun = read_as(Begun, file) or None
        if begun and "sha256" in begun and begun["sha256"] != digest_of_rest(begun):
            raise InputError(f"{file}: {sealed.DAMAGED}")
    except InputError as error:
        raise InputError(f"{error}; allowed: --overwrite, which starts afresh") from None
    return begun
