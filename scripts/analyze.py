"""Measures a model's features in every language and compares masks; see docs/analysis.md.

python scripts/analyze.py --config configs/nano.py --workdir runs/nano

The same as `jaxprune analyze`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("analyze", "python scripts/analyze.py")
