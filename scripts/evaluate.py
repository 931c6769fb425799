"""Scores a model on tasks in every language, and its perplexity; see docs/evaluation.md.

python scripts/evaluate.py --config configs/nano.py --workdir runs/nano --config.model=runs/nano/hf

On several hosts give the same command on each, with --distributed.
"""

from pathlib import Path

from jaxprune.process import starting

with starting():
    from absl import flags
    from ml_collections import ConfigDict

    from jaxprune import cli
    from jaxprune.evaluation import evaluate_from_config

OVERWRITE = flags.DEFINE_boolean(
    "overwrite", False, "replace the scores of another model, or of other questions or settings"
)
join = cli.process_flags()


def main(config: ConfigDict, workdir: Path) -> None:
    """Evaluates `config.model` and writes a folder for each task to `workdir`."""
    join()
    evaluate_from_config(config, workdir, overwrite=OVERWRITE.value)


if __name__ == "__main__":
    cli.run(main, prunes=False)
