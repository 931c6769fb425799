"""Compares the files of finished runs, or of the variants of a sweep, with their reports.

jaxprune verify runs/nano
jaxprune verify runs/dense s3://bucket/runs/nano

The exit code is 1 if anything differs.
"""

import sys
from collections.abc import Sequence

from jaxprune.base.files.places import local_path
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.cli.arguments import Arguments
from jaxprune.runs.verify import verify
from jaxprune.search.sweeps.sweep_json import is_sweep


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune verify`: verifies each RUN."""
    parser = Arguments(program, "RUN [RUN ...]", __doc__)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="workdirs of runs, or of sweeps")
    verified = [_verified(place) for place in parser.parse_args(arguments).runs]
    if not all(verified):
        sys.exit(1)


def _verified(place: str) -> bool:
    """Prints how a run, or each of a sweep, differs from its report; returns whether none does."""
    run = local_path(place)
    reports = run.glob(f"*/{REPORT}") if is_sweep(run) else []
    variants = sorted(report.parent for report in reports)
    differences = [
        f"{folder.name}: {line}" if variants else line
        for folder in variants or [run]
        for line in verify(folder)
    ]
    for line in differences:
        print(f"differs: {line}")
    result = "differs" if differences else "OK"
    print(f"{place}: {result}{f', {len(variants)} runs' if variants else ''}")
    return not differences
