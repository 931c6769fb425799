"""Prunes and evaluates one model by sparsities, calibrations and languages; see docs/sweep.md.

jaxprune sweep --config sweep_nano --workdir runs/sweep_nano
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxprune.cli.configured import run_configured
from jaxprune.config import Config
from jaxprune.sweep import sweep_from_config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune sweep`."""
    run_configured(sweep, program, arguments, about=__doc__, prunes=False)


def sweep(config: Config, workdir: Path) -> None:
    """Runs what is left of the sweep in `workdir` and writes its tables."""
    sweep_from_config(config, workdir)
