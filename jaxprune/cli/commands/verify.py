"""Compares the files of a finished run, or of the variants of a sweep, with its report.

jaxprune verify runs/nano
jaxprune verify s3://bucket/runs/nano

The exit code is 1 if anything differs.
"""

import sys
from collections.abc import Sequence

from jaxprune.base.files.places import local_path
from jaxprune.base.workdir.json_files import REPORT
from jaxprune.cli.arguments import Arguments
from jaxprune.runs.verify import verify
from jaxprune.sweeps.sweep_json import is_sweep


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune verify`: verifies RUN."""
    parser = Arguments(program, "RUN", __doc__)
    parser.add_argument("run", metavar="RUN", help="workdir of a run, or of a sweep")
    place = parser.parse_args(arguments).run
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
    if differences:
        sys.exit(1)
    print(f"{place}: OK{f', {len(variants)} runs' if variants else ''}")
