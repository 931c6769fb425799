"""Evaluates a model on tasks in every language, its perplexity and its translations; see docs/evaluation.md.

jaxprune evaluate --config nano --workdir runs/nano --config.model=runs/nano/hf

On several hosts, run the same command on each, with --distributed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_processes, join_processes, run_configured
from jaxprune.config import Config
from jaxprune.evaluation import evaluate_from_config


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune evaluate`."""
    run_configured(evaluate, program, arguments, about=__doc__, define=define, command="evaluate")


def define() -> None:
    """Defines the command's own flags."""
    flags.DEFINE_boolean(
        "overwrite",
        False,
        "replace scores of another model, other questions or other settings",
    )
    define_processes()


def evaluate(config: Config, workdir: Path) -> None:
    """Evaluates `config.model` and writes one folder per task to `workdir`."""
    join_processes()
    evaluate_from_config(config, workdir, overwrite=flags.FLAGS.overwrite)
