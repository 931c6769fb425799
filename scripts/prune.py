"""Prunes a model with a few hundred demonstrations; docs/guide/files.md lists the files of a run.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

The same as `jaxprune prune`.
"""

from jaxprune import cli

if __name__ == "__main__":
    cli.run("prune", "python scripts/prune.py")
