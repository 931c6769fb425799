"""Writes one self-contained HTML page about a run, or about what changed against another; a sweep's tables again.

python scripts/report.py runs/pruned --against runs/dense

The same as `jaxprune report`.
"""

from jaxprune import cli

if __name__ == "__main__":
    cli.run("report", "python scripts/report.py")
