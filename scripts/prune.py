"""Prunes a model with a few hundred demonstrations; see README.md for what it writes.

python scripts/prune.py --config configs/nano.py --workdir runs/nano
"""

from pathlib import Path

from ml_collections import ConfigDict

from jaxprune import cli
from jaxprune.pipeline import prune_from_config


def main(config: ConfigDict, workdir: Path) -> None:
    """Prunes `config.model` and writes to `workdir`."""
    prune_from_config(config, workdir)


if __name__ == "__main__":
    cli.run(main)
