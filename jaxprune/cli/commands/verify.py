"""Compares the files of a finished run with its report; exit code 1 if anything differs.

jaxprune verify runs/nano
jaxprune verify s3://bucket/runs/nano
"""

import sys
from collections.abc import Sequence

from jaxprune.cli.arguments import Arguments, path
from jaxprune.runs.verify import verify


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune verify`: verifies RUN."""
    parser = Arguments(program, "RUN", __doc__)
    parser.add_argument(
        "run", metavar="RUN", type=path, help="workdir of a run of prune, recover or shrink"
    )
    differences = verify(parser.parse_args(arguments).run)
    for line in differences:
        print(f"differs: {line}")
    if differences:
        sys.exit(1)
    print(f"{arguments[-1]}: OK")
