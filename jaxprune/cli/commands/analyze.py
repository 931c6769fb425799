"""Measures a model's features in every language and compares masks; see docs/analysis.md.

jaxprune analyze --config nano --workdir runs/nano
jaxprune analyze --config nano --workdir runs/nano --config.analysis.languages=fr,sw
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jaxprune.analysis import analyze_from_config
from jaxprune.cli.configured import run_configured
from jaxprune.config import Config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune analyze`."""
    run_configured(analyze, program, arguments, about=__doc__, prunes=False)


def analyze(config: Config, workdir: Path) -> None:
    """Analyses `config.model` and writes to `workdir`/analysis."""
    analyze_from_config(config, workdir)
