"""Prints the changes between two evaluated runs in every language, and writes them to a folder.

python scripts/compare.py runs/dense runs/pruned --out runs/dense_pruned

The same as `jaxprune compare`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("compare", "python scripts/compare.py")
