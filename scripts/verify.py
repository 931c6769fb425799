"""Reads back what a pruning run wrote and compares it with its report; exit code 1 if anything differs.

python scripts/verify.py runs/nano
"""

import sys

from jaxprune.process import errors_in_one_line, starting

with starting():
    from jaxprune import cli
    from jaxprune.runs import verify


def main() -> None:
    """Verifies RUN."""
    parser = cli.Arguments(usage="verify.py RUN", description=__doc__)
    parser.add_argument("run", metavar="RUN", type=cli.path, help="workdir of a pruning run")
    run = parser.parse_args().run
    differences = verify(run)
    for line in differences:
        print(f"differs: {line}")
    if differences:
        sys.exit(1)
    print(f"{run}: OK")


if __name__ == "__main__":
    with errors_in_one_line():
        main()
