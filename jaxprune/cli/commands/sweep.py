"""Prunes and evaluates one model for all sparsities, calibrations and languages of a config; see docs/sweep.md.

jaxprune sweep --config sweep_nano --workdir runs/sweep_nano
"""

from collections.abc import Sequence
from pathlib import Path

from jaxprune.cli.configured import run_configured
from jaxprune.config import Config
from jaxprune.sweeps import print_tables, sweep_from_config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune sweep`: runs the unfinished variants of the sweep in the workdir and writes its tables."""
    run_configured(run, program, arguments, about=__doc__, command="sweep")


def run(config: Config, workdir: Path) -> None:
    """The sweep; prints its tables."""
    print_tables(sweep_from_config(config, workdir), workdir)
