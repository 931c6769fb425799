"""`<workdir>/progress`: one run at a time keeps its finished layers there, and its outputs until all are whole."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import check_regular, read_as, sealed, write_json
from jaxprune.ledger.identity import difference
from jaxprune.ledger.workdir import CONFIG, REPORT
from jaxprune.ledger.workdir_json import Begun, content_digest

PROGRESS = "progress"
_RUN, _LOCK, _LAYERS = "run.json", "lock", "layer_*.npz"


@contextlib.contextmanager
def unfinished_run(
    workdir: Path,
    identity: Mapping[str, Any],
    samples_per_device: int,
    outputs: Iterable[str],
    overwrite: bool = False,
) -> Iterator[Path]:
    """The folder of a run that begins or goes on, which no other run may write at the same time.

    Of several processes, which must all see the folder, the first one writes. When the block ends, the folder goes;
    it stays after an error if a layer is finished.

    Args:
      workdir: of the run.
      identity: of the run, see `run_identity`.
      samples_per_device: how many a device takes at a time, which a run that goes on does not change.
      outputs: names of the folders that the run fills.
      overwrite: start afresh, whatever is there.

    Raises:
      InputError: another run writes there, or an unfinished one of another identity was left there (names
        what differs).
    """
    folder = workdir / PROGRESS
    begun = {"identity": identity, "samples_per_device": samples_per_device}
    with contextlib.ExitStack() as stack:
        if hosts.is_first():
            stack.enter_context(_locked(workdir))
            stack.enter_context(_kept_if_of_use(workdir, begun, [*outputs], overwrite))
        hosts.wait("progress")
        if hosts.any_of(not (folder / _RUN).is_file()):
            raise InputError(f"--workdir: {workdir} is not the same folder on all hosts")
        yield folder


@contextlib.contextmanager
def _locked(workdir: Path) -> Iterator[None]:
    """Holds the lock of the folder."""
    lock = workdir / PROGRESS / _LOCK
    lock.parent.mkdir(parents=True, exist_ok=True)
    if lock.exists():
        check_regular(lock)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"--workdir: another run is writing to {workdir}; allowed: another folder"
            ) from None
        yield


@contextlib.contextmanager
def _kept_if_of_use(
    workdir: Path, begun: Mapping[str, Any], outputs: list[str], overwrite: bool
) -> Iterator[None]:
    """Begins a run, or finds that the one that is there may go on; takes it away at the end, see `unfinished_run`."""
    folder, is_complete = workdir / PROGRESS, False
    before = None if overwrite else _begun(workdir)
    if before is None:
        _clear(folder)
        write_json(folder / _RUN, {**begun, "sha256": content_digest(begun)})
    elif differs := difference(before.get("identity", {}), begun["identity"]):
        raise InputError(
            f"--workdir: {workdir} holds an unfinished run with {differs}; "
            "allowed: the same command, --overwrite (starts afresh), or another folder"
        )
    _clear_outputs(folder, outputs)
    try:
        yield
        is_complete = True
    finally:
        if is_complete or not any(folder.glob(_LAYERS)):
            _clear(folder)
            _clear_outputs(folder, outputs)
            for name in (_LOCK, *((REPORT, CONFIG) if is_complete else ())):
                (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else is in it, and stays
                folder.rmdir()


def _clear(folder: Path) -> None:
    """Takes away what a run keeps there of itself and of its layers, and nothing else."""
    for file in (folder / _RUN, *folder.glob(_LAYERS), *folder.glob("layer_*.new")):
        file.unlink(missing_ok=True)


def _clear_outputs(folder: Path, outputs: Iterable[str]) -> None:
    for name in outputs:
        shutil.rmtree(folder / name, ignore_errors=True)
        sealed.discard(folder / name)


def begun_with(workdir: Path) -> int | None:
    """The samples of a device at a time that an unfinished run began with; None where there is none."""
    return (_begun(workdir) or {}).get("samples_per_device")


def _begun(workdir: Path) -> Begun | None:
    """What run.json says; None where there is none, or nothing in it."""
    file = workdir / PROGRESS / _RUN
    try:
        begun = read_as(Begun, file) or None
        if begun and "sha256" in begun and begun["sha256"] != content_digest(begun):
            raise InputError(f"{file}: {sealed.DAMAGED}")
    except InputError as error:
        raise InputError(f"{error}; allowed: --overwrite, which starts afresh") from None
    return begun
