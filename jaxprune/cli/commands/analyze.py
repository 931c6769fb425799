"""Measures a model's features in every language and compares masks; see docs/analysis.md.

jaxprune analyze --config nano --workdir runs/nano
jaxprune analyze --config nano --workdir runs/nano --config.analysis.languages=fr,sw

On several hosts, run the same command on each, with --distributed and a shared workdir.
"""

from collections.abc import Sequence
from pathlib import Path

from jaxprune.analysis import analyze_from_config
from jaxprune.cli.configured import define_processes, join_processes, run_configured
from jaxprune.config import Config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune analyze`."""
    run_configured(
        analyze, program, arguments, about=__doc__, define=define_processes, command="analyze"
    )


def analyze(config: Config, workdir: Path) -> None:
    """Analyzes `config.model` and writes to analysis/ in `workdir`."""
    join_processes()
    analyze_from_config(config, workdir)
