"""Collects the cells of studies/four_bits from the folder where they were made.

python docs/figures/four_bits_scores.py WORK NTREX FLORES [--pilot]

Adds to scores.npz the sums of every cell, and to models.json what made it; with --pilot to pilot.npz alone.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cells import read, write
from four_bits_cells import PILOT_SCORES, SCORES, STUDY
from four_bits_claims import compressed_bits
from study_scores import origin, read_arrays

from jaxprune.evaluation.folders import open_evaluation

MODELS = STUDY / "models.json"
LINES = 300


def main(words: Sequence[str] | None = None) -> None:
    """Writes the files, with the cells that they have already."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("ntrex", type=Path)
    parser.add_argument("flores", type=Path)
    parser.add_argument("--pilot", action="store_true")
    arguments = parser.parse_args(words)
    file = PILOT_SCORES if arguments.pilot else SCORES
    arrays, models = read_arrays(file), read(MODELS)
    for done in sorted(arguments.work.glob("*/*/done")):
        cell = done.parent
        name = f"{cell.parent.name}/{cell.name}"
        for code, text in open_evaluation(cell).perplexities.items():
            arrays[f"{name}/{code}"] = np.stack([text.part_sums, text.part_tokens], axis=1)
            arrays[f"bytes/{cell.parent.name}/{code}"] = text.part_bytes
            if f"compressed/{code}" not in arrays:
                seen = compressed(arguments.ntrex, arguments.flores, code)
                arrays[f"compressed/{code}"] = np.array(seen)
        if not arguments.pilot:
            models[name] = origin(cell, models.get(name))
    np.savez_compressed(file, **dict(sorted(arrays.items())))
    if not arguments.pilot:
        write(MODELS, dict(sorted(models.items())))


def compressed(ntrex: Path, flores: Path, code: str) -> float:
    """Bits per byte of the measured lines of a language by LZMA after its NTREX."""
    lines = (flores / f"{code}.txt").read_text("utf-8").split("\n")[:LINES]
    return compressed_bits((ntrex / f"{code}.txt").read_text("utf-8"), "\n".join(lines))


if __name__ == "__main__":
    main()
