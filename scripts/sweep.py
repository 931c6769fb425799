"""Prunes and evaluates one model by sparsities, calibrations and languages; see docs/sweep.md.

python scripts/sweep.py --config configs/sweep_nano.py --workdir runs/sweep_nano
"""

from pathlib import Path

from jaxprune.process import starting

with starting():
    from ml_collections import ConfigDict

    from jaxprune import cli
    from jaxprune.sweep import sweep_from_config


def main(config: ConfigDict, workdir: Path) -> None:
    """Runs what is left of the sweep in `workdir` and writes its tables."""
    sweep_from_config(config, workdir)


if __name__ == "__main__":
    cli.run(main, prunes=False)
