"""Rows of the table of faults: buckets, by a store whose objects are the files of `bucket/` in the row's folder."""

import functools
import shutil

import fsspec
from faults.fault import Fault, both
from faults.place import halve, largest
from fsspec.exceptions import FSTimeoutError
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem

from jaxprune.base.files import places, store
from jaxprune.runs.buckets import ownership, workdir


class NoCredentialsError(Exception):
    """As those of a store's library, which are no OSErrors."""


# As the libraries report them once their own repetitions are over.
ERRORS = {
    "throttles": OSError(16, "Please reduce your request rate."),
    "times out": FSTimeoutError("no answer"),
    "refuses": PermissionError("Access Denied"),
    "ends the connection": ConnectionResetError(104, "Connection reset by peer"),
    "has no credentials": NoCredentialsError("Unable to locate credentials"),
}
REQUESTS = {
    "lists": "find",
    "creates": "pipe_file",
    "reads": "cat_file",
    "uploads": "put_file",
    "removes": "rm_file",
    "downloads": "get",
}
WORKDIR = "test://bucket/workdir"


class Bucket(DirFileSystem):
    """A store that fails at requests of one kind."""

    def __init__(self, folder, request=None, error=None):
        super().__init__(path=str(folder), fs=LocalFileSystem(auto_mkdir=True))
        if request is not None:
            setattr(self, request, functools.partial(self._fail, error))

    def _fail(self, error, *_, **__):
        raise error


def bucket(p, request=None, error=None):
    """The place of a bucket, whose waits are short."""
    folder = p.folder / "bucket"
    (folder / "bucket").mkdir(parents=True, exist_ok=True)
    real = fsspec.filesystem

    def filesystem(scheme, **options):
        return Bucket(folder, request, error) if scheme == "test" else real(scheme, **options)

    p.patch.setattr(fsspec, "filesystem", filesystem)
    p.patch.setitem(store._EXTRAS, "test", "test")
    p.patch.setattr(ownership, "LEASE", 0.2)
    p.patch.setattr(workdir.tempfile, "mkdtemp", lambda **_: str(staged(p)))
    p.patch.setenv("XDG_CACHE_HOME", str(p.folder / "staged" / "cache"))
    places._downloaded.cache_clear()
    return folder / "bucket"


def staged(p):
    """Where the local copy of a workdir is: results that could not be uploaded stay there."""
    folder = p.folder / "staged" / "copy"
    folder.mkdir(parents=True)
    return folder


def fails(request, error):
    """A run whose store fails at all requests of a kind. There is an owner that is gone, so that it is read."""

    def command(p):
        there = bucket(p, REQUESTS[request], ERRORS[error])
        (there / "workdir/progress").mkdir(parents=True)
        (there / "workdir/progress/owner-000001.json").write_text('{"process": null}')
        (there / "workdir/notes.txt").write_text("of the user")
        return p.prune(workdir=WORKDIR)

    text = str(ERRORS[error].args[-1])
    return Fault(command, rf"test://bucket/workdir.*{text}", 2 if request == "uploads" else 1)


def run_there(p, change):
    """A complete run in the bucket that has changed there."""
    run = shutil.copytree(p.whole_run(), bucket(p) / "run")
    change(run)


def refused_model(p):
    """A run of a model in a bucket whose store fails at all downloads."""
    shutil.copytree(p.model(), bucket(p, "get", ERRORS["refuses"]) / "weights")
    return p.prune(model="test://bucket/weights")


def other_run(p):
    """A workdir in a bucket with the unfinished run of another command."""
    progress = bucket(p) / "workdir/progress"
    progress.mkdir(parents=True)
    (progress / "run.json").write_text('{"identity": {"code": "other"}}')


ROWS = {
    "a workdir in a bucket with a run of another command": Fault(
        lambda p: both(other_run(p), p.prune(workdir=WORKDIR)),
        r"--workdir: test://bucket/workdir contains an unfinished run with ",
    ),
    **{
        f"a store that {error} when it {request}": fails(request, error)
        for request in REQUESTS
        for error in (ERRORS if request == "lists" else ["has no credentials"])
    },
    "several processes and a bucket": Fault(
        lambda p: both(bucket(p), [*p.prune(workdir=WORKDIR), "--coordinator=h:1", "--processes=2", "--process=0"]),
        r"--workdir: got .*; expected a folder that all processes share",
    ),
    "a lost marker": Fault(
        lambda p: both(
            run_there(p, lambda run: (run / "report.json").unlink()), ["verify", "test://bucket/run"]
        ),
        r"test://bucket/run: no complete run",
    ),
    "texts that are not in the bucket": Fault(
        lambda p: both(bucket(p), p.wanda("test://bucket/texts")), r"test://bucket/texts: no such", 1
    ),
    "tokens in a bucket": Fault(
        lambda p: p.on_tokens("test://bucket/tokens/tokens.npz"),
        r"calibration\.data: no file 'test:",
    ),
    "a store that refuses when it reads a model": Fault(
        refused_model, r"test://bucket/weights: .*Access Denied", 1
    ),
    "saved statistics that are not in the bucket": Fault(
        lambda p: both(
            bucket(p),
            p.prune("calibration.stats=test://bucket/run", "pruning.propagate=dense", "pruning.criterion=wanda"),
        ),
        r"test://bucket/run: no such", 1,
    ),
    "a run to recover whose masks are cut": Fault(
        lambda p: both(
            run_there(p, lambda run: halve(largest(run / "checkpoint/masks"))),
            p.script("recover", "recovery.run=test://bucket/run"),
        ),
        r"recovery\.run: .*run: checkpoint: masks/",
    ),
}  # fmt: skip
