"""Evaluates a model on tasks in every language, its perplexity and its translations; see docs/evaluation.md.

jaxprune evaluate --config nano --workdir runs/nano --config.model=runs/nano/hf

On several hosts, run the same command on each, with --distributed.
"""

from pathlib import Path

from absl import flags

from jaxprune.cli.configured import define_overwrite, define_processes, join_processes
from jaxprune.devices import hosts
from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.write import print_evaluation
from jaxprune.runs.evaluate import evaluate_from_config


def define() -> None:
    """Defines the command's own flags."""
    define_overwrite("replace scores of another model, other questions or other settings")
    define_processes()


def evaluate(config: EvaluateConfig, workdir: Path) -> None:
    """Evaluates `config.model` and writes one folder per task to `workdir`."""
    join_processes()
    evaluation = evaluate_from_config(config, workdir, overwrite=flags.FLAGS.overwrite)
    if hosts.is_first():
        print_evaluation(evaluation, workdir)
