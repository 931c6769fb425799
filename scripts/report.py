"""Writes one self-contained HTML page about a run, or about what changed against another; a sweep's tables again.

python scripts/report.py runs/pruned
python scripts/report.py runs/pruned --against runs/dense
python scripts/report.py runs/sweep

The model card in the run's hf/ is written anew, with accuracy by language; that of the dense model too, where the other
run is its evaluation.
"""

from jaxprune.process import errors_in_one_line, starting

with starting():
    from jaxprune import cli
    from jaxprune.config import FIELDS
    from jaxprune.errors import InputError
    from jaxprune.html_report import FILE, write_report
    from jaxprune.sweep import is_sweep, rebuild


def main() -> None:
    """Writes the page of RUN."""
    parser = cli.Arguments(
        usage="report.py RUN [--against RUN_BEFORE] [--out FILE]", description=__doc__
    )
    parser.add_argument("run", metavar="RUN", type=cli.path, help="workdir of a run or of a sweep")
    parser.add_argument(
        "--against", metavar="RUN_BEFORE", type=cli.path,
        help="workdir to compare with, such as the dense model's; both are evaluated",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=cli.path, help=f"default: RUN/{FILE}")
    arguments = parser.parse_args()
    if is_sweep(arguments.run):
        if arguments.against or arguments.out:
            raise InputError(f"--against, --out: {arguments.run} is a sweep; allowed: neither")
        rebuild(arguments.run)
        return
    defaults = {path: field.default for path, field in FIELDS.items()}
    card = write_report(arguments.run, arguments.against, arguments.out, defaults=defaults)
    print(f"written: {arguments.out or arguments.run / FILE}")
    if card:
        print(card)


if __name__ == "__main__":
    with errors_in_one_line():
        main()
