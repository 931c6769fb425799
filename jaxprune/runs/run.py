"""A workdir → the run that fills it: one at a time, resumed or started over, put in place when it is complete.

The folder `progress/` of a workdir has the record of an unfinished run, a file for each finished layer, and its outputs
while they are filled. Its report.json is the commit of the run: from then on the outputs replace those of an older run,
one after the other, and report.json comes last. Whoever opens the workdir after a kill completes this first.
"""

import contextlib
import functools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.base.files.whole import write_json
from jaxprune.base.workdir.differences import difference
from jaxprune.base.workdir.json_files import CONFIG, REPORT, content_digest
from jaxprune.base.workdir.locks import PROGRESS, locked
from jaxprune.base.workdir.reading import (
    GGUF,
    OLDER,
    OUTPUTS,
    complete_run,
    in_fields,
    read_committed,
    read_unchanged,
)
from jaxprune.devices import hosts
from jaxprune.runs.layer_file import finished_layers, layer_file, read_layer
from jaxprune.stats.finished import FinishedLayer
from jaxprune.steps.identity import agree

RECORD, LAYERS = "run.json", "layer_*.npz"
FITS = "fit*.npz"  # of fits that come before the first layer, or of windows
SWEEP = "sweep.json"  # the record of a sweep, in its workdir
# The files in `progress/` of a run that is being put in place.
COMMIT = (REPORT, CONFIG, GGUF, OLDER)


class UnfinishedError(InputError):
    """The workdir has an unfinished run that this one cannot continue; it may start over."""


class Run:
    """A run of a workdir, for which other runs are locked out; a `Progress` of its step.

    Attributes:
      identity: see `run_identity`.
      folder: `progress/`, which the run fills with its outputs.
      record: run.json: the identity, and the values that a resumed run keeps; equal in all processes.
      result: the content of report.json. A run that is complete already has it; an unfinished one sets it when all its
        outputs are sealed, and is then put in place.
    """

    def __init__(
        self, workdir: Path, identity: Mapping[str, Any], result: dict[str, Any] | None
    ) -> None:
        self.identity = identity
        self.folder = workdir / PROGRESS
        self.record: dict[str, Any] = {}
        self.result = result

    def keep(self, **values: Any) -> None:
        """Adds values to the record, which a resumed run keeps; all processes call it with equal values."""
        self.record |= values
        if hosts.is_first():
            write_json(self.folder / RECORD, self.record)

    @functools.cached_property
    def finished_layers(self) -> int:
        """The number of layers that were finished when the run was opened."""
        return finished_layers(self.folder)

    def finished(self, layer: int) -> FinishedLayer | None:
        """The result of a layer in an interrupted run, or None."""
        if layer >= self.finished_layers:
            return None
        with _as_unfinished_errors():
            return read_layer(layer_file(self.folder, layer))


@contextlib.contextmanager
def open_workdir(workdir: Path, identity: Mapping[str, Any]) -> Iterator[None]:
    """Locks other jobs out of a workdir, in which a committed run is first put in place; all processes must call.

    Raises:
      InputError: processes have different jobs; another job writes to the workdir.
    """
    agree(identity)
    with contextlib.ExitStack() as stack:
        if hosts.is_first():
            stack.enter_context(locked(workdir))
            _put_in_place(workdir)
        hosts.wait("opened")
        yield


@contextlib.contextmanager
def open_run(
    workdir: Path,
    identity: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Iterator[Run]:
    """The run of a workdir: complete, resumed or new.

    All processes must call and share the folder; process 0 writes. When the block ends with a result, the outputs get
    their names in the workdir. After an error the finished layers are kept, if any.

    Args:
      workdir: a workdir that `check_workdir` accepts.
      identity: identity of the run, see `run_identity`.
      config: the content of config.json.
      overwrite: discard an unfinished run, and replace a complete one.

    Raises:
      InputError: processes have different jobs; another run writes to the workdir; the workdir contains a sweep, or a
        run with another identity (names the difference); a folder in `progress/` is not of a run.
    """
    if (workdir / SWEEP).exists():
        raise InputError(f"--workdir: {workdir} contains a sweep; expected another folder")
    with open_workdir(workdir, identity), contextlib.ExitStack() as stack:
        complete = None if overwrite else complete_run(workdir, identity, config)
        run = Run(workdir, identity, None if complete is None else dict(complete))
        if complete is None:
            if hosts.is_first():
                _begin(workdir, identity, config, overwrite)
                stack.callback(_leave, run.folder)
            hosts.wait("begun")
            if hosts.any_of(not (run.folder / RECORD).is_file()):
                raise InputError(f"--workdir: {workdir} is not the same folder on all hosts")
            run.record = read_record(run.folder)
        yield run
        if complete is None and run.result is not None and hosts.is_first():
            run.result = _commit(run.folder, config, run.result)
            _put_in_place(workdir)


def _begin(
    workdir: Path, identity: Mapping[str, Any], config: Mapping[str, Any], overwrite: bool
) -> None:
    """Keeps the layers of an unfinished run of this identity, or writes the record of a new one."""
    folder = workdir / PROGRESS
    record = {} if overwrite else read_record(folder)
    if record and (differs := difference(record.get("identity", {}), identity)):
        named = in_fields(differs, record.get("config", {}), config)
        raise UnfinishedError(
            f"--workdir: {workdir} contains an unfinished run with {named}; "
            "expected the same command, --overwrite (starts over), or another folder"
        )
    for name in OUTPUTS:
        if (folder / name).exists() and not (folder / RECORD).exists():
            raise InputError(
                f"--workdir: {folder / name} is not of an unfinished run; move it away"
            )
    _clear_outputs(folder)
    if not record:
        _clear_layers(folder)
        write_json(folder / RECORD, {"identity": identity, "config": config})


def _leave(folder: Path) -> None:
    """Removes the outputs of a run that is not committed, and its record unless it has layers to resume from."""
    if (folder / REPORT).exists():
        return
    _clear_outputs(folder)
    if not any(folder.glob(LAYERS)) and not any(folder.glob(FITS)):
        _clear_layers(folder)


def _commit(folder: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """Completes `progress/` by config.json and report.json, with the digests of all files; returns the report."""
    write_json(folder / CONFIG, config)
    tables = [f"{name}/{manifest.TABLE}" for name in OUTPUTS if (folder / name).is_dir()]
    single = [name for name in (CONFIG, GGUF) if (folder / name).is_file()]
    files = {name: [*manifest.file_facts(folder / name)] for name in (*single, *tables)}
    report: dict[str, Any] = {**result, "files": files}
    report["sha256"] = content_digest(report)
    write_json(folder / REPORT, report)
    return report


def _put_in_place(workdir: Path) -> None:
    """Replaces an older run by the committed one in `progress/`, if any.

    After a kill at any step, the next call does the rest.

    Raises:
      InputError: files of the committed run are neither in `progress/` nor in place.
    """
    folder = workdir / PROGRESS
    committed = read_committed(workdir)
    if committed is None:
        return
    for name, (size, sha256) in committed.get("files", {}).items():
        if all(manifest.fault(base / name, (size, sha256)) for base in (folder, workdir)):
            raise InputError(
                f"--workdir: {folder / REPORT} is of another run than {name}; move {folder} away"
            )
    if (workdir / REPORT).exists():
        (workdir / REPORT).replace(folder / OLDER)
    older = read_unchanged(folder / OLDER) or {}
    older_outputs = {name.partition("/")[0] for name in older.get("files", {}) if "/" in name}
    for name in {*OUTPUTS, *older_outputs}:
        if (folder / name).is_dir():
            manifest.remove(workdir / name)
            (folder / name).rename(workdir / name)
        elif f"{name}/{manifest.TABLE}" not in committed.get("files", {}):
            manifest.remove(workdir / name)
    for name in (GGUF, CONFIG):
        if (folder / name).exists():
            (folder / name).replace(workdir / name)
        elif name in older.get("files", {}) and name not in committed.get("files", {}):
            (workdir / name).unlink(missing_ok=True)
    (folder / REPORT).replace(workdir / REPORT)
    _clear_layers(folder)


def _clear_layers(folder: Path) -> None:
    """Removes the layers of a run and, last, its record, which shows that the other files are of a run."""
    patterns = (LAYERS, "layer_*.new", FITS, "fit*.new")
    files = [file for pattern in patterns for file in folder.glob(pattern)]
    names = (OLDER, CONFIG, "measured.json", RECORD)
    for file in (*files, *(folder / name for name in names)):
        file.unlink(missing_ok=True)


def _clear_outputs(folder: Path) -> None:
    (folder / GGUF).unlink(missing_ok=True)
    for name in OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
        manifest.discard(folder / name)


def read_record(folder: Path) -> dict[str, Any]:
    """The record in `progress/`; empty without a file."""
    with _as_unfinished_errors():
        return read_json(folder / RECORD)


@contextlib.contextmanager
def _as_unfinished_errors() -> Iterator[None]:
    """Turns an InputError about one of the files of an unfinished run into an UnfinishedError."""
    try:
        yield
    except InputError as error:
        raise UnfinishedError(f"{error}; expected --overwrite, which starts over") from None
