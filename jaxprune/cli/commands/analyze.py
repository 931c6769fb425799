"""Measures a model's features in every language and compares masks; see docs/analysis.md.

jaxprune analyze --config nano --workdir runs/nano
jaxprune analyze --config nano --workdir runs/nano --config.analysis.languages=fr,sw

On several hosts, run the same command on each, with --distributed and a shared workdir.
"""

from pathlib import Path

from jaxprune.analysis.config import AnalyzeConfig
from jaxprune.cli.configured import define_processes, join_processes
from jaxprune.pages.analyze import analyze_from_config

define = define_processes


def analyze(config: AnalyzeConfig, workdir: Path) -> None:
    """Analyzes `config.model` and writes to analysis/ in `workdir`."""
    join_processes()
    analyze_from_config(config, workdir)
