"""The paper's table 1: translation into the target language, BLEU and chrF, against dense."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.errors import InputError
from jaxprune.evaluation.compare import ALPHA
from jaxprune.evaluation.metrics import holm
from jaxprune.evaluation.translation_metrics import TRANSLATION, paired_bootstrap
from jaxprune.files import read_json
from jaxprune.sweep.plan import Variant

Groups = Mapping[tuple[str, float | None], Sequence[Variant]]


def translation_table(
    dense: Path, groups: Groups, folders: Mapping[Variant, Path], codes: Sequence[str]
) -> dict[str, Any] | None:
    """Rows as in `tables`, of what each variant made of the same sentences.

    Args:
      dense: its folder.
      groups: variants by row.
      folders: of all variants.
      codes: source languages, in order.

    Returns:
      `dense` and `rows`; a cell has BLEU and chrF, their difference to dense, p of sacrebleu's paired bootstrap for
      BLEU, `holm` over the languages of the variant and `holm_table` over all cells. None where nothing
      was translated.

    Raises:
      InputError: two variants translated other sentences.
    """
    metrics = _metrics(dense)
    if not metrics:
        return None
    target = metrics["protocol"]["target"]
    rows, cells = [], []
    for (calibration, sparsity), variants in groups.items():
        row: dict[str, Any] = {}
        for variant in variants:
            there = _metrics(folders[variant]).get("languages", {})
            found = {
                code: _cell(dense, folders[variant], code, target)
                for code in codes
                if code in there and variant.serves(code)
            }
            _adjust(list(found.values()), "holm", "significant")
            for code, cell in found.items():
                row[code] = {"variant": variant.name, "language": variant.language} | cell
        if row:
            rows.append({"calibration": calibration, "sparsity": sparsity, "languages": row})
            cells += list(row.values())
    _adjust(cells, "holm_table", "significant_table")
    return {
        "target": target,
        "shots": metrics["protocol"]["shots"],
        "data": metrics.get("data"),
        "signatures": metrics["signatures"],
        "dense": {"languages": {code: metrics["languages"][code] for code in codes}},
        "rows": rows,
    }


def _adjust(cells: Sequence[dict[str, Any]], p: str, significant: str) -> None:
    for cell, adjusted in zip(cells, holm([cell["p"]["bleu"] for cell in cells]), strict=True):
        cell["p"][p] = adjusted
        cell[significant] = adjusted <= ALPHA


def _metrics(folder: Path) -> dict[str, Any]:
    return read_json(folder / TRANSLATION / "metrics.json")


def _cell(dense: Path, folder: Path, code: str, target: str) -> dict[str, Any]:
    before, after = (_read(one / TRANSLATION / f"{code}.jsonl") for one in (dense, folder))
    if [line["reference"] for line in before] != [line["reference"] for line in after]:
        raise InputError(f"{folder / TRANSLATION}: {code} has other sentences than {dense} has")
    found = paired_bootstrap(
        [line["hypothesis"] for line in before],
        [line["hypothesis"] for line in after],
        [line["reference"] for line in after],
        target=target,
    )
    return {
        "rows": len(after),
        **{name: found[name]["b"] for name in ("bleu", "chrf")},
        "bleu_interval": found["bleu"]["interval_b"],
        "difference": {name: found[name]["difference"] for name in ("bleu", "chrf")},
        "p": {"bleu": found["bleu"]["p"], "chrf": found["chrf"]["p"]},
    }


def _read(file: Path) -> list[dict[str, str]]:
    try:
        return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]
    except (ValueError, FileNotFoundError):
        raise InputError(
            f"{file}: missing or broken; allowed: what scripts/sweep.py wrote"
        ) from None
