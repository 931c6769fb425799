"""Says how far a run or a sweep is: what is done, who works on what, and the time that is left.

jaxprune status runs/bloom
jaxprune status s3://bucket/runs/sweep
"""

from collections.abc import Sequence

from jaxprune.cli.arguments import Arguments
from jaxprune.runs.buckets.outline import outline
from jaxprune.search.status import run_status
from jaxprune.search.sweeps.status import sweep_status
from jaxprune.search.sweeps.sweep_json import is_sweep


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune status`: describes each WORKDIR."""
    parser = Arguments(program, "WORKDIR [WORKDIR ...]", __doc__)
    parser.add_argument(
        "workdirs",
        metavar="WORKDIR",
        nargs="+",
        help="--workdir of a run or a sweep, a folder or an address",
    )
    for place in parser.parse_args(arguments).workdirs:
        with outline(place) as workdir:
            text = sweep_status(workdir) if is_sweep(workdir) else run_status(workdir)
        print(f"{place}: {text}")
