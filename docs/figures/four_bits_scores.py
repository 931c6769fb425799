"""Collects the cells of studies/four_bits from the folder where they were made.

python docs/figures/four_bits_scores.py WORK NTREX FLORES

Writes scores.npz, the sums of every cell, and models.json, what made it.
"""

import sys
from pathlib import Path

import numpy as np
from cells import read, write
from four_bits_claims import STUDY, compressed_bits
from study_scores import origin, read_arrays

from jaxprune.evaluation.folders import open_evaluation

SCORES, MODELS = STUDY / "scores.npz", STUDY / "models.json"
LINES = 300


def main(work: Path, ntrex: Path, flores: Path) -> None:
    """Writes both files, with the cells that they have already."""
    arrays, models = read_arrays(SCORES), read(MODELS)
    for done in sorted(work.glob("*/*/done")):
        cell = done.parent
        name = f"{cell.parent.name}/{cell.name}"
        for code, text in open_evaluation(cell).perplexities.items():
            arrays[f"{name}/{code}"] = np.stack([text.part_sums, text.part_tokens], axis=1)
            arrays[f"bytes/{cell.parent.name}/{code}"] = text.part_bytes
            if f"compressed/{code}" not in arrays:
                arrays[f"compressed/{code}"] = np.array(_compressed(ntrex, flores, code))
        models[name] = origin(cell, models.get(name))
    np.savez_compressed(SCORES, **dict(sorted(arrays.items())))
    write(MODELS, dict(sorted(models.items())))


def _compressed(ntrex: Path, flores: Path, code: str) -> float:
    lines = (flores / f"{code}.txt").read_text("utf-8").split("\n")[:LINES]
    return compressed_bits((ntrex / f"{code}.txt").read_text("utf-8"), "\n".join(lines))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
