"""Writes llama.cpp's importance matrix of the languages of a finished run, for llama-quantize --imatrix.

jaxprune imatrix runs/wanda
jaxprune imatrix runs/wanda --languages sw --out swahili.gguf
"""

from collections.abc import Sequence

from jaxprune.base.schema import comma_separated
from jaxprune.cli.arguments import Arguments, output, path
from jaxprune.runs.imatrix import imatrix_of_run
from jaxprune.stats.combinations import COMBINATIONS, SUM

FILE = "imatrix.gguf"


def main(program: str, arguments: Sequence[str]) -> None:
    """`jaxprune imatrix`: writes the matrix of RUN."""
    parser = Arguments(
        program,
        "RUN [--languages fr,sw] [--combine HOW] [--weights fr:2,sw:1] [--out FILE]",
        __doc__,
    )
    parser.add_argument("run", metavar="RUN", type=path, help="workdir of a run with stats/")
    parser.add_argument(
        "--languages", metavar="fr,sw", type=comma_separated, default=(), help="default: all"
    )
    parser.add_argument(
        "--combine", choices=[*COMBINATIONS], default=SUM.name, help="combination of its languages"
    )
    parser.add_argument("--weights", metavar="fr:2,sw:1", help="with --combine weights")
    parser.add_argument("--out", metavar="FILE", type=output, help=f"default: RUN/{FILE}")
    options = parser.parse_args(arguments)
    file = options.out or options.run / FILE
    imatrix_of_run(
        options.run, file, languages=options.languages, combine=options.combine, weights=options.weights,
    )  # fmt: skip
    print(f"written: {file}")
