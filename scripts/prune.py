"""Prunes a model with a few hundred demonstrations; docs/guide/files.md lists the files of a run.

python scripts/prune.py --config configs/nano.py --workdir runs/nano

The same as `jaxprune prune`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("prune", "python scripts/prune.py")
