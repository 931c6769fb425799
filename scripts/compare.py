"""Prints what changed in every language between two evaluated runs, and writes it to a folder.

python scripts/compare.py runs/dense runs/pruned --out runs/dense_pruned
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from absl import logging

from jaxprune.errors import InputError
from jaxprune.evaluation.compare import compare_runs
from jaxprune.evaluation.compare_table import table, write


class Parser(argparse.ArgumentParser):
    """Bad arguments are an error in one line, as everywhere in jaxprune."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; usage: compare.py RUN_A RUN_B [--out FOLDER]")


def main() -> None:
    """Compares RUN_A with RUN_B."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "run_a", metavar="RUN_A", type=Path, help="workdir, such as the dense model's"
    )
    parser.add_argument("run_b", metavar="RUN_B", type=Path, help="workdir to compare with it")
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path,
        help="where compare.json, compare.csv and compare.md go (default: RUN_B/compare)",
    )  # fmt: skip
    arguments = parser.parse_args()
    logging.set_verbosity(
        logging.ERROR
    )  # Orbax warns of metadata that a part of a checkpoint lacks
    comparison = compare_runs(arguments.run_a, arguments.run_b)
    out = arguments.out or arguments.run_b / "compare"
    if out.exists() and not out.is_dir():
        raise InputError(f"--out: {out} is a file; allowed: a folder")
    write(comparison, out)
    print(table(comparison), end="")
    print(f"written: {', '.join(str(out / f'compare.{kind}') for kind in ('json', 'csv', 'md'))}")


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
