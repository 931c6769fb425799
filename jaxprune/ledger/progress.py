"""`<workdir>/progress`: finished layers of one run at a time, and its outputs until all are complete."""

import contextlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.files import read_as, sealed, write_json
from jaxprune.ledger.identity import difference
from jaxprune.ledger.json_files import CONFIG, REPORT, Begun, Measured, content_digest
from jaxprune.ledger.locks import PROGRESS, locked

_RUN, _LAYERS = "run.json", "layer_*.npz"
_MEASURED = "measured.json"
# The state of a fit of all blocks together, which comes before the first layer.
FIT = "fit.npz"


class UnfinishedError(InputError):
    """The workdir has an unfinished run that this one cannot continue; it may start over."""


@contextlib.contextmanager
def unfinished_run(
    workdir: Path,
    identity: Mapping[str, Any],
    chosen: Mapping[str, Any],
    outputs: Iterable[str],
    overwrite: bool = False,
) -> Iterator[Path]:
    """The folder of a run that starts or resumes; other runs are locked out.

    All processes must share the folder; process 0 writes. The folder is removed when the block ends; after an error its
    finished layers are kept, if any.

    Args:
      workdir: of the run.
      identity: of the run, see `run_identity`.
      chosen: choices that depend on memory, which a resumed run keeps: `samples_per_device`, `by_site`.
      outputs: names of the folders that the run fills.
      overwrite: discard an unfinished run.

    Raises:
      InputError: another run writes to the folder, an unfinished run has another identity (names the difference), or
        a folder in `progress/` is not of a run.
    """
    folder = workdir / PROGRESS
    with contextlib.ExitStack() as stack:
        if hosts.is_first():
            stack.enter_context(locked(workdir))
            begun = {"identity": identity, **chosen}
            _begin(workdir, begun, outputs, overwrite)
            stack.push(lambda error, *_: _leave(folder, outputs, is_complete=error is None))
        hosts.wait("progress")
        if hosts.any_of(not (folder / _RUN).is_file()):
            raise InputError(f"--workdir: {workdir} is not the same folder on all hosts")
        yield folder


def _begin(
    workdir: Path, begun: Mapping[str, Any], outputs: Iterable[str], overwrite: bool
) -> None:
    """Checks that an unfinished run has this identity, or writes run.json of a new one; removes unfinished outputs."""
    folder = workdir / PROGRESS
    before = None if overwrite else begun_with(workdir)
    if before and (differs := difference(before.get("identity", {}), begun["identity"])):
        raise UnfinishedError(
            f"--workdir: {workdir} contains an unfinished run with {differs}; "
            "allowed: the same command, --overwrite (starts over), or another folder"
        )
    others = [name for name in outputs if (folder / name).exists()]
    if others and not (folder / _RUN).exists():
        raise InputError(
            f"--workdir: {folder / others[0]} is not of an unfinished run; allowed: a workdir without it"
        )
    _clear_outputs(folder, outputs)
    if before is None:
        _clear_layers(folder)
        write_json(folder / _RUN, {**begun, "sha256": content_digest(begun)})


def _leave(folder: Path, outputs: Iterable[str], *, is_complete: bool) -> None:
    """Removes the files of the run, or only its outputs if it can be resumed from the others; keeps all other files."""
    of_publish = [folder / name for name in (REPORT, CONFIG)]
    if not is_complete and any(file.exists() for file in of_publish):
        return  # they show that the config.json of the workdir is ours
    _clear_outputs(folder, outputs)
    if not is_complete and (any(folder.glob(_LAYERS)) or (folder / FIT).is_file()):
        return
    for file in of_publish:
        file.unlink(missing_ok=True)
    _clear_layers(folder)


def _clear_layers(folder: Path) -> None:
    """Removes the layers of an unfinished run and, last, its record, which shows that the others are of a run."""
    names = (_MEASURED, FIT, "fit.new")
    layers = (*folder.glob(_LAYERS), *folder.glob("layer_*.new"))
    for file in (*layers, *(folder / name for name in (*names, _RUN))):
        file.unlink(missing_ok=True)


def _clear_outputs(folder: Path, outputs: Iterable[str]) -> None:
    for name in outputs:
        shutil.rmtree(folder / name, ignore_errors=True)
        sealed.discard(folder / name)


def measured_once(folder: Path, measure: Callable[[], list[float]]) -> list[float]:
    """The result of `measure()`, stored in the folder of an unfinished run, so that a resumed one does not repeat it.

    All processes must call.

    Raises:
      InputError: the file is damaged.
    """
    file = folder / _MEASURED
    if file.is_file():
        with of_unfinished_run():
            found = read_as(Measured, file) or Measured()
            if found.get("sha256") != content_digest(found) or "measured" not in found:
                raise InputError(f"{file}: {sealed.DAMAGED}")
        return found["measured"]
    record = {"measured": measure()}
    if hosts.is_first() and record["measured"]:
        write_json(file, {**record, "sha256": content_digest(record)})
    return record["measured"]


def begun_with(workdir: Path) -> Begun | None:
    """The record of an unfinished run, run.json; None if there is no file, or an empty object."""
    file = workdir / PROGRESS / _RUN
    with of_unfinished_run():
        begun = read_as(Begun, file) or None
        if begun and "sha256" in begun and begun["sha256"] != content_digest(begun):
            raise InputError(f"{file}: {sealed.DAMAGED}")
    return begun


@contextlib.contextmanager
def of_unfinished_run() -> Iterator[None]:
    """Turns an InputError about one of the files of an unfinished run into an UnfinishedError."""
    try:
        yield
    except InputError as error:
        raise UnfinishedError(f"{error}; allowed: --overwrite, which starts over") from None
