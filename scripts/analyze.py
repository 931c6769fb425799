"""Measures a model's features in every language and compares masks; see docs/analysis.md.

python scripts/analyze.py --config configs/nano.py --workdir runs/nano
python scripts/analyze.py --config configs/nano.py --workdir runs/nano --config.analysis.languages=fr,sw
"""

from pathlib import Path

from jaxprune.process import starting

with starting():
    from ml_collections import ConfigDict

    from jaxprune import cli
    from jaxprune.analysis import analyze_from_config


def main(config: ConfigDict, workdir: Path) -> None:
    """Analyses `config.model` and writes to `workdir`/analysis."""
    analyze_from_config(config, workdir)


if __name__ == "__main__":
    cli.run(main, prunes=False)
