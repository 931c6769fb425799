"""Says how far a run or a sweep is.

python scripts/status.py runs/bloom

The same as `jaxprune status`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("status", "python scripts/status.py")
