"""Prunes a model with a few hundred demonstrations; see README.md for what it writes.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

A run that was interrupted goes on when the same command is given again.
"""

from pathlib import Path

from absl import flags
from ml_collections import ConfigDict

from jaxprune import cli
from jaxprune.pipeline import prune_from_config

OVERWRITE = flags.DEFINE_boolean(
    "overwrite", False, "start afresh where the workdir holds an unfinished run"
)


def main(config: ConfigDict, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`."""
    prune_from_config(config, workdir, overwrite=OVERWRITE.value)


if __name__ == "__main__":
    cli.run(main)
