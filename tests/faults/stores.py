"""Rows of the table of faults: buckets, by a store whose objects are the files of `bucket/` in the row's folder."""

import functools
import json
import shutil

import fsspec
from faults.fault import Fault, both
from faults.place import halve
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


def of_run(change, says, code=2):
    """`verify` of a complete run in a bucket, one of whose objects has changed."""

    def command(p):
        run_there(p, change)
        return ["verify", "test://bucket/run"]

    return Fault(command, says, code)


def run_there(p, change):
    """A complete run in the bucket that has changed there."""
    run = shutil.copytree(p.whole_run(), bucket(p) / "run")
    change(run)


def largest(run):
    files = [file for file in (run / "checkpoint/masks").rglob("*") if file.is_file()]
    return max(files, key=lambda file: file.stat().st_size)


def alive(p):
    """A workdir whose owner, on another machine, shows that it is alive at every look."""
    there = bucket(p) / "workdir/progress"
    there.mkdir(parents=True)
    facts = {"host": "other", "place": "elsewhere", "process": 7}
    (there / "owner-000003.json").write_text(json.dumps(facts))
    beats = iter(range(100))
    p.patch.setattr(ownership, "_read", lambda *_: facts | {"beats": next(beats)})


def taken(p):
    """A workdir that another run takes over as soon as this one has it."""
    there = bucket(p) / "workdir/progress"
    real = ownership.Ownership.renew

    def renew(self):
        (there / "owner-000009.json").write_text("{}")
        real(self)

    p.patch.setattr(ownership.Ownership, "renew", renew)


def uploaded(p, folder, name):
    """A copy of a folder in the bucket; its address."""
    shutil.copytree(folder, bucket(p) / name)
    return f"test://bucket/{name}"


def model(change):
    """A run of a model in a bucket that has changed there."""

    def command(p):
        address = uploaded(p, p.model(), "weights")
        change(p.folder / "bucket/bucket/weights")
        return p.prune(model=address)

    return command


def reading(error):
    """A run of a model in a bucket whose store fails at all downloads."""

    def command(p):
        shutil.copytree(p.model(), bucket(p, "get", ERRORS[error]) / "weights")
        return p.prune(model="test://bucket/weights")

    return Fault(command, rf"test://bucket/weights: .*{ERRORS[error].args[-1]}", 1)


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
        for error in (ERRORS if request == "lists" else ("refuses", "has no credentials"))
    },
    "a bucket without the prefix": Fault(
        lambda p: both(bucket(p), p.prune(workdir="test://bucket")), r"--workdir: got 'test://bucket'"
    ),
    "another scheme": Fault(
        lambda p: p.prune(workdir="az://bucket/run"), r"--workdir: got 'az://bucket/run'"
    ),
    "a workdir whose owner is alive": Fault(
        lambda p: both(alive(p), p.prune(workdir=WORKDIR)), r"--workdir: process 7 on other is writing"
    ),
    "a workdir that is taken over": Fault(
        lambda p: both(taken(p), p.prune(workdir=WORKDIR)), r"--workdir: another run has .*workdir"
    ),
    "several processes and a bucket": Fault(
        lambda p: both(bucket(p), [*p.prune(workdir=WORKDIR), "--coordinator=h:1", "--processes=2", "--process=0"]),
        r"--workdir: got .*; expected a folder that all processes share",
    ),
    "a lost marker": of_run(lambda run: (run / "report.json").unlink(), r"run: no complete run"),
    "a marker that is cut": of_run(lambda run: halve(run / "report.json"), r"report\.json: not JSON"),
    "a marker of another program": of_run(
        lambda run: (run / "report.json").write_text("[]"), r"report\.json: expected"
    ),
    "texts that are not in the bucket": Fault(
        lambda p: both(bucket(p), p.wanda("test://bucket/texts")), r"test://bucket/texts: no such", 1
    ),
    "texts that are half uploaded": Fault(
        lambda p: p.wanda(uploaded(p, p.texts(en="a", fr="b\nc\n"), "texts")), r"texts: fr has 2 lines and en has 1"
    ),
    "tokens in a bucket": Fault(
        lambda p: p.on_tokens("test://bucket/tokens/tokens.npz"),
        r"calibration\.data: no file 'test:",
    ),
    "a model that is not in the bucket": Fault(
        lambda p: both(bucket(p), p.prune(model="test://bucket/weights")), r"weights: no such", 1
    ),
    "a model that is half uploaded": Fault(
        model(lambda folder: halve(folder / "model.safetensors")), r"model\.safetensors: .*truncated"
    ),
    "a model whose weights are not uploaded yet": Fault(
        model(lambda folder: (folder / "model.safetensors").unlink()), r"weights: no weights"
    ),
    "a model without its config": Fault(
        model(lambda folder: (folder / "config.json").unlink()), r"no config\.json"
    ),
    **{
        f"a store that {error} when it reads a model": reading(error)
        for error in ("refuses", "has no credentials")
    },
    "saved statistics that are not in the bucket": Fault(
        lambda p: both(
            bucket(p),
            p.prune("calibration.stats=test://bucket/run", "pruning.propagate=dense", "pruning.criterion=wanda"),
        ),
        r"test://bucket/run: no such", 1,
    ),
    "a run to recover that lost its masks": Fault(
        lambda p: both(
            run_there(p, lambda run: largest(run).unlink()),
            p.script("recover", "recovery.run=test://bucket/run"),
        ),
        r"recovery\.run: .*run: checkpoint: masks/",
    ),
    "a run to recover whose masks are cut": Fault(
        lambda p: both(
            run_there(p, lambda run: halve(largest(run))),
            p.script("recover", "recovery.run=test://bucket/run"),
        ),
        r"recovery\.run: .*run: checkpoint: masks/",
    ),
    "a run to compare whose scores are cut": Fault(
        lambda p: both(
            r := p.runs(), halve(shutil.copytree(r[1], bucket(p) / "run") / "xnli/en.npz"),
            ["compare", "test://bucket/run", r[0]],
        ),
        r"xnli/en\.npz: damaged",
    ),
}  # fmt: skip
