"""Writes one self-contained HTML page about a run, or about what changed against another.

python scripts/report.py runs/pruned
python scripts/report.py runs/pruned --against runs/dense
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from absl import logging

from jaxprune.errors import InputError
from jaxprune.html_report import write_report
from jaxprune.html_report.write import FILE


class Parser(argparse.ArgumentParser):
    """Bad arguments are an error in one line, as everywhere in jaxprune."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; usage: report.py RUN [--against RUN_BEFORE] [--out FILE]")


def main() -> None:
    """Writes the page of RUN."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN", type=Path, help="workdir of a run")
    parser.add_argument(
        "--against", metavar="RUN_BEFORE", type=Path,
        help="workdir to compare with, such as the dense model's; both are evaluated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=Path, help=f"default: RUN/{FILE}")
    arguments = parser.parse_args()
    # Orbax warns of metadata that a part of a checkpoint lacks
    logging.set_verbosity(logging.ERROR)
    write_report(arguments.run, arguments.against, arguments.out)
    print(f"written: {arguments.out or arguments.run / FILE}")


if __name__ == "__main__":
    try:
        main()
    except (InputError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError) else 1)
