"""The folder that configs/sweep_study.py reads, from texts that anyone can download (docs/study.md).

python studies/study/make_data.py SOURCES OUT

SOURCES has ntrex/, flores_full/, tico19/ (<language>.txt, aligned), xnli_full/ and sentiment/ (<language>.jsonl). OUT
gets

- ntrex/, with its index of documents,
- text/, lines 0-249 of FLORES and then of TICO-19, in runs of ten lines,
- xnli/, 334 premises with three hypotheses each, and sentiment/, with the files of both tasks,
- code/, the Python files of the standard library without tests.
"""

import argparse
import shutil
import sysconfig
from pathlib import Path

LANGUAGES = ("en", "fr", "ru", "zh", "sw")
TEXTS = ("flores_full", "tico19")
LINES = 250
# Premise 5k + 2 of 1,670; the study before this one used none of them.
STEP, FIRST = 5, 2


def texts(sources: Path, out: Path) -> None:
    """Writes the first lines of both texts, one after the other, and the run of each line."""
    for code in LANGUAGES:
        chosen = []
        for name in TEXTS:
            lines = (sources / name / f"{code}.txt").read_text("utf-8").split("\n")[:LINES]
            chosen += [" ".join(line.split()) for line in lines]
        (out / f"{code}.txt").write_text("\n".join(chosen) + "\n", "utf-8")
    names = [f"{name} {line // 10}" for name in TEXTS for line in range(LINES)]
    rows = "".join(f"{name}\n" for name in ["document", *names])
    (out / "index.tsv").write_text(rows, "utf-8")


def premises(sources: Path, out: Path) -> None:
    """Writes the rows of every fifth premise."""
    for code in LANGUAGES:
        rows = (sources / "xnli_full" / f"{code}.jsonl").read_text("utf-8")
        rows = rows.removesuffix("\n").split("\n")  # not at U+2028 and the like
        chosen = [row for number, row in enumerate(rows) if number // 3 % STEP == FIRST]
        (out / f"{code}.jsonl").write_text("\n".join(chosen) + "\n", "utf-8")


def main() -> None:
    """Fills a new folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    for name, fill in (("text", texts), ("xnli", premises)):
        (arguments.out / name).mkdir(parents=True)
        fill(arguments.sources, arguments.out / name)
    for name in ("ntrex", "sentiment"):
        shutil.copytree(arguments.sources / name, arguments.out / name)
    for task in Path(__file__).parent.glob("*.toml"):
        shutil.copy(task, arguments.out)
    left_out = shutil.ignore_patterns("site-packages", "*test*", "__pycache__")
    shutil.copytree(sysconfig.get_path("stdlib"), arguments.out / "code", ignore=left_out)


if __name__ == "__main__":
    main()
