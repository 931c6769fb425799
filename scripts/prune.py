"""Prunes a model with a few hundred demonstrations; see README.md for what it writes.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

A run that was interrupted goes on when the same command is given again. On several hosts give the same
command on each, with --distributed and a workdir that all of them see.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from jaxprune import cli, hosts
from jaxprune.pipeline import prune_from_config

OVERWRITE = flags.DEFINE_boolean(
    "overwrite", False, "start afresh where the workdir holds an unfinished run"
)
DISTRIBUTED = flags.DEFINE_boolean(
    "distributed",
    False,
    "one of several processes, which a TPU slice, Slurm or GKE tells of each other",
)
COORDINATOR = flags.DEFINE_string("coordinator", None, "or host:port of process 0, on each of")
PROCESSES = flags.DEFINE_integer("processes", None, "so many processes,")
PROCESS = flags.DEFINE_integer("process", None, "of which this one has this number, from 0")


def main(config: ConfigDict, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`."""
    if DISTRIBUTED.value or COORDINATOR.value:
        hosts.join(COORDINATOR.value, PROCESSES.value, PROCESS.value)
    prune_from_config(config, workdir, overwrite=OVERWRITE.value)


if __name__ == "__main__":
    cli.run(main)
