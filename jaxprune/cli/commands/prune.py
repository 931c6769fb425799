"""Prunes a model with a few hundred demonstrations; see docs/guide/files.md for its files.

jaxprune prune --config nano --workdir runs/nano

--plan tells the memory and the operations that a run would need, on this machine or, with --chip, on others.
A run that was interrupted goes on when the same command is given again. On several hosts give the same
command on each, with --distributed and a workdir that all of them see.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_processes, join_processes, run_configured
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
        "start afresh where the workdir holds an unfinished run, and replace a complete one",
    )
    flags.DEFINE_boolean(
        "plan",
        False,
        "print what the run would need, without loading the model or writing anything",
    )
    flags.DEFINE_string("chip", None, f"plan for these devices: {', '.join(CHIPS)}")
    define_processes()


def prune(config: Config, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`, or prints what that would need."""
    given = flags.FLAGS
    if given.plan:
        processes = given.processes or 1
        print_plan(config, plan_from_config(config, chip=given.chip, processes=processes))
        return
    join_processes()
    prune_from_config(config, workdir, overwrite=given.overwrite)
