"""Writes one self-contained HTML page about a run, or about its changes against others; rewrites a sweep's tables.

jaxprune report runs/pruned
jaxprune report runs/pruned --against runs/dense
jaxprune report runs/sparsegpt --against runs/dense runs/wanda
jaxprune report runs/sweep

Rewrites the model card in the run's hf/ with its results, and with those of the dense model if the first RUN_BEFORE is
its evaluation.
"""

from collections.abc import Sequence

from jaxprune.base.errors import InputError
from jaxprune.cli.arguments import Arguments, output, path
from jaxprune.runs.pages.write import FILE, write_report
from jaxprune.sweeps.sweep_json import is_sweep
from jaxprune.sweeps.write import print_tables, rebuild


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune report`: writes the page of RUN."""
    parser = Arguments(program, "RUN [--against RUN_BEFORE ...] [--out FILE]", __doc__)
    parser.add_argument("run", metavar="RUN", type=output, help="workdir of a run or of a sweep")
    parser.add_argument(
        "--against", metavar="RUN_BEFORE", type=path, nargs="+", default=(),
        help="workdirs to compare with, the base first, for example the dense model's; all must be evaluated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=output, help=f"default: RUN/{FILE}")
    options = parser.parse_args(arguments)
    if is_sweep(options.run):
        if options.against or options.out:
            raise InputError(f"--against, --out: {options.run} is a sweep; set neither")
        print_tables(rebuild(options.run), options.run)
        return
    card = write_report(options.run, options.against, options.out)
    print(f"written: {options.out or options.run / FILE}")
    if card:
        print(card)
