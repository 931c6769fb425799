"""Prints the changes between two evaluated runs in every language, and writes them to a folder.

python scripts/compare.py runs/dense runs/pruned --out runs/dense_pruned

The same as `jaxprune compare`.
"""

from jaxprune import cli

if __name__ == "__main__":
    cli.run("compare", "python scripts/compare.py")
