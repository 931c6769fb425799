"""Prunes a model with a few hundred demonstrations; docs/guide/files.md lists the files of a run.

jaxprune prune --config nano --workdir runs/nano

--plan estimates memory and operations of a run on this machine, or with --chip on others. An interrupted run
resumes when the command is repeated. On several hosts, run the same command on each, with --distributed and a
shared workdir.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from jaxprune.cli.configured import check_chip, define_processes, join_processes, run_configured
from jaxprune.config import Config
from jaxprune.runs import prune_from_config
from jaxprune.runs.planning import CHIPS, plan_from_config, print_plan


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune prune`."""
    run_configured(prune, program, arguments, about=__doc__, define=define)


def define() -> None:
    """Defines the command's own flags."""
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "start over if the workdir contains an unfinished run, and replace a complete one",
    )
    flags.DEFINE_boolean(
        "plan",
        False,
        "print the estimated memory and operations; loads no weights and writes nothing",
    )
    flags.DEFINE_string("chip", None, f"plan for these devices: {', '.join(CHIPS)}")
    define_processes()


def prune(config: Config, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`, or prints the plan of that."""
    given = flags.FLAGS
    if given.plan:
        processes = given.processes or 1
        print_plan(config, plan_from_config(config, chip=given.chip, processes=processes))
        return
    check_chip(given.chip)
    join_processes()
    prune_from_config(config, workdir, overwrite=given.overwrite)
