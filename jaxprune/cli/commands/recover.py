"""Fits kept weights, norms and biases of a pruned or smaller model to the dense model; see docs/after_pruning.md.

jaxprune recover --config nano --config.recovery.run=runs/nano --workdir runs/nano_recovered

The config is that of the run of prune or shrink; `calibration.*` may name other texts or more samples. --plan estimates
memory and operations. An interrupted run resumes when the command is repeated. On several hosts, run the same command
on each, with --distributed and a shared workdir.
"""

from pathlib import Path

from jaxprune.cli.configured import define_planned, run_or_plan
from jaxprune.pages.job import run_from_config
from jaxprune.steps.configs import RecoverConfig
from jaxprune.steps.planning.recovery import show_recovery_plan

define = define_planned


def recover(config: RecoverConfig, workdir: Path) -> None:
    """Recovers the model of `config.recovery.run` and writes to `workdir`, or prints the plan of the recovery."""
    run_or_plan(run_from_config, config, workdir, show_recovery_plan)
