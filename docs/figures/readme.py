"""README's results, whose numbers are made of the scores, and the output and costs of `jaxprune pack` in it.

python docs/figures/readme.py

The results are written in studies/results.md, with the names of their numbers; README has them without the names.
"""

import re
from pathlib import Path

import four_bits
import own_text
import packed
import study
from cells import read, with_numbers

ROOT = Path(__file__).parents[2]
README, RESULTS = ROOT / "README.md", ROOT / "studies" / "results.md"
OUTPUT = ROOT / "studies" / "pack" / "gemma3-270m_fr_sw.txt"
COSTS = r"(?s)(?<=\(here NTREX and FLORES\)\. ).*?(?=\n\n```text\n)"


def numbers() -> dict[str, str]:
    """The numbers of both studies, and of recoveries, by name."""
    of_recovery = own_text.numbers(read(own_text.CELLS))
    return study.numbers(study.read_parts()) | four_bits.numbers_of_prose() | of_recovery


def written(readme: str, results: str, output: str) -> str:
    """README with these results, this output, and the costs of packings."""
    readme = re.sub(COSTS, lambda _: packed.sentence(read(packed.CELLS)), readme)
    shown = re.sub("<!--.*?-->", "", results)
    readme = re.sub(r"(?s)(?<=\n## Results\n\n).*?(?=\n## )", lambda _: shown, readme)
    return re.sub(r"(?s)(?<=\n```text\n).*?(?=```)", lambda _: output, readme, count=1)


def main() -> None:
    """Writes both."""
    results = with_numbers(RESULTS.read_text(encoding="utf-8"), numbers())
    RESULTS.write_text(results, encoding="utf-8")
    readme = README.read_text(encoding="utf-8")
    output = OUTPUT.read_text(encoding="utf-8")
    README.write_text(written(readme, results, output), encoding="utf-8")


if __name__ == "__main__":
    main()
