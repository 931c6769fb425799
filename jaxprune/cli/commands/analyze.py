"""Measures a model's features in every language and compares masks; see docs/analysis.md.

jaxprune analyze --config nano --workdir runs/nano
jaxprune analyze --config nano --workdir runs/nano --config.analysis.languages=fr,sw
"""

from collections.abc import Sequence

from jaxprune.analysis import analyze_from_config
from jaxprune.cli.configured import run_configured


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune analyze`: analyzes the config's model and writes to analysis/ in the workdir."""
    run_configured(analyze_from_config, program, arguments, about=__doc__, command="analyze")
