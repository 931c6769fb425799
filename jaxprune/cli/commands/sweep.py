"""Prunes and evaluates one model by sparsities, calibrations and languages; see docs/sweep.md.

jaxprune sweep --config sweep_nano --workdir runs/sweep_nano
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxprune.cli.configured import run_configured
from jaxprune.sweeps import sweep_from_config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune sweep`: runs what is left of the sweep in the workdir and writes its tables."""
    run_configured(sweep_from_config, program, arguments, about=__doc__, command="sweep")
