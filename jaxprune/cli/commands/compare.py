"""Prints the changes from one evaluated run to others in every language, and writes them to a folder.

jaxprune compare runs/dense runs/pruned --out runs/dense_pruned
jaxprune compare runs/dense runs/wanda runs/sparsegpt
"""

from collections.abc import Sequence

from jaxprune.base.errors import InputError
from jaxprune.base.files.places import local_path
from jaxprune.base.files.store import is_address
from jaxprune.cli.arguments import Arguments, check_folder, output, path
from jaxprune.evaluation.in_memory import compare
from jaxprune.evaluation.write import comparison_text, write_comparison


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune compare`: compares runs with the first."""
    parser = Arguments(program, "BASE RUN [RUN ...] [--out FOLDER]", __doc__)
    parser.add_argument(
        "base", metavar="BASE", type=path, help="workdir, for example of the dense model"
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="workdirs to compare with BASE")
    parser.add_argument(
        "--out", metavar="FOLDER", type=output,
        help="folder for measurements.csv and changes.csv (default: compare/ in the last RUN, unless that is in a "
        "bucket)",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    last = options.runs[-1]
    if not options.out and is_address(last):
        raise InputError(
            "--out: not set; expected a folder of this machine, as the last RUN is in a bucket"
        )
    comparison = compare(options.base, *options.runs)
    out = options.out or local_path(last) / "compare"
    check_folder("--out", out)
    files = write_comparison(comparison, out)
    print(comparison_text(comparison), end="")
    print(f"written: {', '.join(map(str, files))}")
