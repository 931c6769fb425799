"""Calibration texts of equal numbers of tokens, in disjoint draws of a text.

python studies/quantization/calibration.py MODEL TEXT OUT [--languages en,fr] [--draws 4] [--windows 48] [--order 1]

Writes OUT/LANGUAGE-DRAW.npz and OUT/mix-DRAW.npz for `calibration.kind=tokens`: windows of 256 tokens, the first of
which is BOS, in the mixture as many of each language, at equal distances. TEXT is a folder of <language>.txt; its
documents stay whole: draw d of n has every n-th document, in random order, which --order changes. Without an index of
documents they are runs of 50 lines. With TEXT=generated the model writes draw d itself, with seed d, in
OUT/generated_LANGUAGE-DRAW.npz, and there is no mixture.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

import jaxprune as jp
from jaxprune.steps.generated import written_texts

GENERATED, MIXTURE = "generated", "mix"
WIDTH, RUN = 256, 50


def main() -> None:
    """Writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("out", type=Path)
    parser.add_argument("--languages", default="en,fr,ru,zh,sw,ar,de,es,hi,th,tr,vi")
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--windows", type=int, default=48)
    parser.add_argument("--order", type=int, default=1)
    arguments = parser.parse_args()
    model, codes = jp.load(arguments.model), arguments.languages.split(",")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for draw in range(arguments.draws):
        if arguments.text == GENERATED:
            for code in codes:
                windows = written(model, code, draw, arguments.windows)
                save(arguments.out, f"{GENERATED}_{code}", draw, windows)
            continue
        by_language = {}
        for code in codes:
            documents = by_draw(Path(arguments.text), code, arguments.draws, arguments.order)[draw]
            by_language[code] = rows = cut(model, "\n".join(documents))
            if len(rows) < arguments.windows:
                sys.exit(f"{code}: draw {draw} has {len(rows)} windows; try another --order")
            save(arguments.out, code, draw, rows[: arguments.windows])
        save(arguments.out, MIXTURE, draw, mixture(by_language, arguments.windows))


def by_draw(folder: Path, code: str, draws: int, order: int) -> list[list[str]]:
    """The documents of each draw."""
    lines = (folder / f"{code}.txt").read_text(encoding="utf-8").split("\n")
    by_document: dict[str, list[str]] = {}
    for line, document in zip(lines, documents_of(folder, len(lines)), strict=False):
        by_document.setdefault(document, []).append(line)
    documents = ["\n".join(lines) for lines in by_document.values()]
    shuffled = np.random.default_rng(order).permutation(len(documents))
    return [[documents[number] for number in shuffled[draw::draws]] for draw in range(draws)]


def documents_of(folder: Path, lines: int) -> Iterator[str]:
    """The document of each line."""
    index = folder / "index.tsv"
    if not index.is_file():
        return (str(line // RUN) for line in range(lines))
    with index.open(encoding="utf-8") as file:
        return iter([row["document"] for row in csv.DictReader(file, delimiter="\t")])


def cut(model: jp.Model, text: str) -> np.ndarray:
    """The tokens of a text in windows, [windows, 256]; the rest is left out."""
    tokenizer = model.tokenizer
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    rows = np.array(ids[: len(ids) // (WIDTH - 1) * (WIDTH - 1)]).reshape(-1, WIDTH - 1)
    return np.insert(rows, 0, first, axis=1).astype(np.int32)


def written(model: jp.Model, code: str, seed: int, windows: int) -> np.ndarray:
    """Windows of text that the model writes in a language; texts that end early are followed by others."""
    count = windows
    while (
        len(rows := cut(model, "\n".join(written_texts(model, [code] * count, WIDTH, seed))))
        < windows
    ):
        count += max(1, windows // 4)
    return rows[:windows]


def mixture(windows: Mapping[str, np.ndarray], count: int) -> np.ndarray:
    """As many windows of each language, at equal distances among the first ones."""
    return np.concatenate(
        [
            rows[np.linspace(0, min(len(rows), count) - 1, count // len(windows)).astype(int)]
            for rows in windows.values()
        ]
    )


def save(out: Path, name: str, draw: int, windows: np.ndarray) -> None:
    """Writes the windows of a draw."""
    np.savez(out / f"{name}-{draw}.npz", input_ids=windows)


if __name__ == "__main__":
    main()
