"""Prunes a model with a few hundred demonstrations; docs/guide/files.md lists the files of a run.

jaxprune prune --config nano --workdir runs/nano

--plan estimates memory and operations of a run on this machine. An interrupted run
resumes when the command is repeated. On several hosts, run the same command on each, with --distributed and a
shared workdir.
"""

from pathlib import Path

from jaxprune.cli.configured import define_planned, run_or_plan
from jaxprune.pages.job import run_from_config
from jaxprune.steps.configs import PruneConfig

define = define_planned


def prune(config: PruneConfig, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`, or prints the plan of the run."""
    run_or_plan(run_from_config, config, workdir)
