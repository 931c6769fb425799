"""Compares the files of a pruning run with its report; exit code 1 if anything differs.

python scripts/verify.py runs/nano

The same as `jaxprune verify`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("verify", "python scripts/verify.py")
