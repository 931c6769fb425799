"""Prints what changed in every language between two evaluated runs, and writes it to a folder.

python scripts/compare.py runs/dense runs/pruned --out runs/dense_pruned

The same as `jaxprune compare`.
"""

from jaxprune import cli

if __name__ == "__main__":
    cli.run("compare", "python scripts/compare.py")
