"""Writes one self-contained HTML page about a run, or about its changes against another; rewrites a sweep's tables.

python scripts/report.py runs/pruned --against runs/dense

The same as `jaxprune report`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("report", "python scripts/report.py")
