"""Prunes a model with a few hundred demonstrations; see docs/guide/files.md for its files.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

The same as `jaxprune prune`.
"""

from jaxprune import cli

if __name__ == "__main__":
    cli.run("prune", "python scripts/prune.py")
