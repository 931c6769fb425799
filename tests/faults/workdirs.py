"""Rows of the table of faults: the workdir and the disk under it."""

from faults.fault import Fault, both, full_disk, limited, little_space

from jaxprune.hf import shards

ROWS = {
    "workdir is the model": Fault(
        lambda p: p.prune(model=(f := p.model()), workdir=f), r"--workdir: .*model is the model itself"
    ),
    "workdir below a file": Fault(
        lambda p: p.prune(workdir=p.file(b"", "file") / "below"), r"file/below|file.*directory", 1
    ),
    "full disk at the export": Fault(
        lambda p: both(full_disk(p, shards.ShardWriter, "write"), p.prune()), r"No space left.*workdir", 1
    ),
    "files that grow too large, in the export": Fault(
        lambda p: both(limited(p, 500_000), p.prune()), r"File too large.*workdir", 1
    ),
    "too little space for the checkpoint": Fault(
        lambda p: both(little_space(p), p.prune("output.hf=false")),
        r"No space left on device, [\d,]+ bytes needed and 1,000 free: '.*workdir/progress/checkpoint'", 1,
    ),
}  # fmt: skip
