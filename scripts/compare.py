"""Prints what changed in every language between two evaluated runs, and writes it to a folder.

python scripts/compare.py runs/dense runs/pruned --out runs/dense_pruned
"""

from jaxprune.process import errors_in_one_line, starting

with starting():
    from jaxprune import cli
    from jaxprune.evaluation.comparison import compare_runs, comparison_text, write_comparison


def main() -> None:
    """Compares RUN_A with RUN_B."""
    parser = cli.Arguments(usage="compare.py RUN_A RUN_B [--out FOLDER]", description=__doc__)
    parser.add_argument(
        "run_a", metavar="RUN_A", type=cli.path, help="workdir, such as the dense model's"
    )
    parser.add_argument("run_b", metavar="RUN_B", type=cli.path, help="workdir to compare with it")
    parser.add_argument(
        "--out", metavar="FOLDER", type=cli.path,
        help="where compare.json, compare.csv and compare.md go (default: RUN_B/compare)",
    )  # fmt: skip
    arguments = parser.parse_args()
    comparison = compare_runs(arguments.run_a, arguments.run_b)
    out = arguments.out or arguments.run_b / "compare"
    cli.check_folder("--out", out)
    write_comparison(comparison, out)
    print(comparison_text(comparison), end="")
    print(f"written: {', '.join(str(out / f'compare.{kind}') for kind in ('json', 'csv', 'md'))}")


if __name__ == "__main__":
    with errors_in_one_line():
        main()
