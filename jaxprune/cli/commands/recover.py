"""Fits kept weights, norms and biases of a pruned or smaller model to the dense model; see docs/after_pruning.md.

jaxprune recover --config nano --config.recovery.run=runs/nano --workdir runs/nano_recovered

The config is that of the run of prune or shrink; `calibration.*` may name other texts or more samples. An interrupted
run resumes when the command is repeated. On several hosts, run the same command on each, with --distributed and a
shared workdir.
"""

from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_overwrite, define_processes, join_processes
from jaxprune.runs.planning.config import RecoverConfig
from jaxprune.runs.recover import recover_from_config


def define() -> None:
    """Defines the command's own flags."""
    define_overwrite()
    define_processes()


def recover(config: RecoverConfig, workdir: Path) -> None:
    """Recovers the model of `config.recovery.run` and writes to `workdir`."""
    join_processes()
    recover_from_config(config, workdir, overwrite=flags.FLAGS.overwrite)
