"""Prints the changes between two evaluated runs in every language, and writes them to a folder.

jaxprune compare runs/dense runs/pruned --out runs/dense_pruned
"""

from collections.abc import Sequence

from jaxprune.cli.arguments import Arguments, check_folder, output, path
from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import compare_runs, comparison_text, write_comparison
from jaxprune.files import is_address, local_path


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune compare`: compares RUN_A with RUN_B."""
    parser = Arguments(program, "RUN_A RUN_B [--out FOLDER]", __doc__)
    parser.add_argument(
        "run_a", metavar="RUN_A", type=path, help="workdir, for example of the dense model"
    )
    parser.add_argument("run_b", metavar="RUN_B", help="workdir to compare with RUN_A")
    parser.add_argument(
        "--out", metavar="FOLDER", type=output,
        help="folder for compare.json, compare.csv and compare.md (default: RUN_B/compare, unless it is in a bucket)",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    if not given.out and is_address(given.run_b):
        raise InputError(
            "--out: not set; allowed: a folder of this machine, as RUN_B is in a bucket"
        )
    run_b = local_path(given.run_b)
    comparison = compare_runs(given.run_a, run_b)
    out = given.out or run_b / "compare"
    check_folder("--out", out)
    write_comparison(comparison, out)
    print(comparison_text(comparison), end="")
    files = (str(out / f"compare.{kind}") for kind in ("json", "csv", "md"))
    print(f"written: {', '.join(files)}")
