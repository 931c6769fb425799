"""Calibration texts of equal numbers of tokens, in three disjoint draws of NTREX.

python studies/quantization/calibration.py MODEL NTREX OUT

Writes OUT/LANGUAGE-DRAW.npz and OUT/five-DRAW.npz for `calibration.kind=tokens`: 70 windows of 256 tokens, the first of
which is BOS; of `five` 14 of each language, at equal distances. Documents stay whole: a draw has the text of every
third document, in random order.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

LANGUAGES = ("en", "fr", "ru", "zh", "sw")
DRAWS, WINDOWS, WIDTH = 3, 70, 256


def main(model: str, ntrex: Path, out: Path) -> None:
    """Writes the files."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    with (ntrex / "index.tsv").open(encoding="utf-8") as file:
        documents = [row["document"] for row in csv.DictReader(file, delimiter="\t")]
    names = [*dict.fromkeys(documents)]
    order = np.random.default_rng(0).permutation(len(names))
    out.mkdir(parents=True, exist_ok=True)
    for draw in range(DRAWS):
        drawn = [names[number] for number in order[draw::DRAWS]]
        five = []
        for code in LANGUAGES:
            lines = (ntrex / f"{code}.txt").read_text(encoding="utf-8").split("\n")
            by_document: dict[str, list[str]] = {}
            for line, document in zip(lines, documents, strict=False):
                by_document.setdefault(document, []).append(line)
            text = "\n".join(line for document in drawn for line in by_document[document])
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            rows = np.array(ids[: len(ids) // (WIDTH - 1) * (WIDTH - 1)]).reshape(-1, WIDTH - 1)
            windows = np.insert(rows, 0, first, axis=1).astype(np.int32)
            np.savez(out / f"{code}-{draw}.npz", input_ids=windows[:WINDOWS])
            last = min(len(windows), WINDOWS) - 1
            five.append(windows[np.linspace(0, last, WINDOWS // len(LANGUAGES)).astype(int)])
        np.savez(out / f"five-{draw}.npz", input_ids=np.concatenate(five))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
