"""Prunes and evaluates one model for all sparsities, calibrations and languages of a config; see docs/sweep.md.

python scripts/sweep.py --config configs/sweep_nano.py --workdir runs/sweep_nano

The same as `jaxprune sweep`.
"""

from jaxprune.cli.main import run

if __name__ == "__main__":
    run("sweep", "python scripts/sweep.py")
