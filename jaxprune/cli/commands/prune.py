"""Prunes a model with a few hundred demonstrations; docs/guide/files.md lists the files of a run.

jaxprune prune --config nano --workdir runs/nano

--plan estimates memory and operations of a run on this machine. An interrupted run
resumes when the command is repeated. On several hosts, run the same command on each, with --distributed and a
shared workdir.
"""

from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_overwrite, define_plan, define_processes, join_processes
from jaxprune.runs.pipeline import prune_from_config
from jaxprune.runs.planning.config import PruneConfig
from jaxprune.runs.planning.plan import plan_from_config, print_plan


def define() -> None:
    """Defines the command's own flags."""
    define_overwrite()
    define_plan("print the estimated memory and operations; loads no weights and writes nothing")
    define_processes()


def prune(config: PruneConfig, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`, or prints the plan of the run."""
    options = flags.FLAGS
    if options.plan:
        print_plan(config, plan_from_config(config, options.processes or 1))
        return
    join_processes()
    prune_from_config(config, workdir, overwrite=options.overwrite)
