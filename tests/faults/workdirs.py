"""Rows of the table of faults: the workdir and the disk under it."""

import os
import shutil

import numpy as np
from faults.fault import Fault, both, full_disk, limited, little_space
from faults.place import GOOD_ROW

from jaxprune.hf import shards
from jaxprune.runs.run import open_run

ROWS = {
    "workdir is a file": Fault(
        lambda p: both(p.workdir.write_text(""), p.prune()), r"--workdir: .*workdir is a file"
    ),
    "workdir below a file": Fault(
        lambda p: p.prune(workdir=p.file(b"", "file") / "below"), r"file/below|file.*directory", 1
    ),
    "the model is what the run replaces": Fault(
        lambda p: p.prune(model=shutil.copytree(p.model(), p.workdir / "hf")),
        r"--workdir: .*workdir contains the model itself",
    ),
    "two runs in a workdir": Fault(
        lambda p: both(p.keep(open_run(p.workdir, {"a": 1}, {})), p.prune()),
        r"--workdir: another run is writing to .*workdir",
    ),
    "an unfinished run of another command": Fault(
        lambda p: both(
            (p.workdir / "progress").mkdir(parents=True),
            (p.workdir / "progress" / "run.json").write_text('{"identity": {"code": "other"}}'),
            p.prune(),
        ),
        r"--workdir: .*workdir contains an unfinished run with ",
    ),
    "workdir is the model": Fault(
        lambda p: p.prune(model=(f := p.model()), workdir=f), r"--workdir: .*model is the model itself"
    ),
    "full disk at the export": Fault(
        lambda p: both(full_disk(p, shards.ShardWriter, "write"), p.prune()), r"No space left.*workdir", 1
    ),
    "full disk at config.json": Fault(
        lambda p: both(full_disk(p, os, "replace"), p.prune()), r"No space left.*workdir", 1
    ),
    "files that grow too large, in the export": Fault(
        lambda p: both(limited(p, 500_000), p.prune()), r"File too large.*workdir", 1
    ),
    "too little space for the checkpoint": Fault(
        lambda p: both(little_space(p), p.prune("output.hf=false")),
        r"No space left on device, [\d,]+ bytes needed and 1,000 free: '.*workdir/progress/checkpoint'", 1,
    ),
    "full disk at scores": Fault(
        lambda p: both(full_disk(p, np, "savez"), p.evaluate(p.task(GOOD_ROW), "evaluation.languages=en")),
        r"No space left", 1,
    ),
}  # fmt: skip
