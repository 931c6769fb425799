"""Writes one self-contained HTML page about a run, or about its changes against others; rewrites a sweep's tables.

jaxprune report runs/pruned
jaxprune report runs/pruned --against runs/dense
jaxprune report runs/sparsegpt --against runs/dense runs/wanda
jaxprune report runs/sweep

Rewrites the model card in the run's hf/ with its results, and with those of the dense model if the first RUN_BEFORE is
its evaluation.
"""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.files.store import Store, is_address
from jaxprune.cli.arguments import Arguments, output, path
from jaxprune.pages.page import FILE, write_report
from jaxprune.runs.buckets.outline import is_no_weight, outline
from jaxprune.search.sweeps.sweep_json import is_sweep
from jaxprune.search.sweeps.write import print_tables, rebuild


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune report`: writes the page of RUN."""
    parser = Arguments(program, "RUN [--against RUN_BEFORE ...] [--out FILE]", __doc__)
    parser.add_argument(
        "run", metavar="RUN", help="workdir of a run or of a sweep, or the address of a run"
    )
    parser.add_argument(
        "--against", metavar="RUN_BEFORE", type=path, nargs="+", default=(),
        help="workdirs to compare with, the base first, for example the dense model's; all must be evaluated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=output, help=f"default: RUN/{FILE}")
    options = parser.parse_args(arguments)
    with outline(options.run, is_no_weight) as run:
        if is_address(options.run):
            _report_on_bucket(options.run, run, options)
            return
        if is_sweep(run):
            if options.against or options.out:
                raise InputError(f"--against, --out: {run} is a sweep; set neither")
            print_tables(rebuild(run), run)
            return
        card = write_report(run, options.against, options.out)
        print(f"written: {options.out or run / FILE}")
        if card:
            print(card)


def _report_on_bucket(address: str, run: Path, options: Namespace) -> None:
    """Writes the page of a run in a bucket, by default into the bucket; its model card stays."""
    write_report(run, options.against, options.out)
    if options.out is None:
        Store(address, "RUN").upload(run / FILE, FILE)
    place = address.rstrip("/")
    print(f"written: {options.out or f'{place}/{FILE}'}")
