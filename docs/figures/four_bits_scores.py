"""Collects the cells of studies/four_bits from the folder where they were made.

python docs/figures/four_bits_scores.py WORK NTREX FLORES

Writes scores.npz, the sums of every cell, and models.json, what made it.
"""

import json
import sys
from pathlib import Path

import numpy as np
from four_bits_claims import STUDY, compressed_bits
from study_scores import cpu

from jaxprune.base.workdir.json_files import REPORT
from jaxprune.evaluation.folders import open_evaluation, read_evaluation
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY

SCORES, MODELS = STUDY / "scores.npz", STUDY / "models.json"
LINES = 300


def main(work: Path, ntrex: Path, flores: Path) -> None:
    """Writes both files, with the cells that they have already."""
    arrays = dict(np.load(SCORES)) if SCORES.is_file() else {}
    models = json.loads(MODELS.read_text("utf-8")) if MODELS.is_file() else {}
    for done in sorted(work.glob("*/*/done")):
        cell = done.parent
        name = f"{cell.parent.name}/{cell.name}"
        for code, text in open_evaluation(cell / "eval").perplexities.items():
            arrays[f"{name}/{code}"] = np.stack([text.part_sums, text.part_tokens], axis=1)
            arrays[f"bytes/{cell.parent.name}/{code}"] = text.part_bytes
            if f"compressed/{code}" not in arrays:
                arrays[f"compressed/{code}"] = np.array(_compressed(ntrex, flores, code))
        models.setdefault(name, _origin(cell))
    np.savez_compressed(SCORES, **dict(sorted(arrays.items())))
    lines = (f"{json.dumps(name)}: {json.dumps(models[name])}" for name in sorted(models))
    MODELS.write_text("{" + ",\n".join(lines) + "}\n", "utf-8")


def _compressed(ntrex: Path, flores: Path, code: str) -> float:
    lines = (flores / f"{code}.txt").read_text("utf-8").split("\n")[:LINES]
    return compressed_bits((ntrex / f"{code}.txt").read_text("utf-8"), "\n".join(lines))


def _origin(cell: Path) -> dict[str, str]:
    """Digests of code, calibration and evaluated weights, versions, and this machine's processor."""
    facts = read_evaluation(cell / "eval" / PERPLEXITY)
    made = {"evaluated": facts["model_sha256"][:16], "cpu": cpu()}
    made |= {name: facts["environment"][name] for name in ("jax", "jaxprune")}
    if (cell / REPORT).is_file():
        report = json.loads((cell / REPORT).read_text("utf-8"))
        made |= {"code": report["identity"]["code"][:16]}
        made |= {name: digest[:16] for name, digest in report["digests"].items()}
    return made


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
