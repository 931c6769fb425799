"""The paper's table 1: translation into the target language, BLEU and chrF, against dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.evaluation.scoring import ALPHA, holm
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.files import read_json
from jaxprune.sweep.plan import Variant

Groups = Mapping[tuple[str, float | None], Sequence[Variant]]


def translation_table(
    dense: Path, groups: Groups, found: Mapping[Variant, Mapping[str, Any]], codes: Sequence[str]
) -> dict[str, Any] | None:
    """Rows as in `tables`, of what each variant made of the same sentences.

    Args:
      dense: its folder.
      groups: variants by row.
      found: what `compare_runs` says of each variant against dense.
      codes: source languages, in order.

    Returns:
      `dense` and `rows`; a cell has BLEU and chrF, their difference to dense, p of sacrebleu's paired bootstrap for
      BLEU, `holm` over the languages of the variant and `holm_table` over all cells. None where nothing
      was translated.
    """
    metrics = read_json(dense / TRANSLATION / "metrics.json")
    if not metrics:
        return None
    rows, cells = [], []
    for (calibration, sparsity), variants in groups.items():
        row: dict[str, Any] = {}
        for variant in variants:
            there = (found[variant]["translation"] or {"languages": {}})["languages"]
            for code in codes:
                if code in there and variant.serves(code):
                    about = {"variant": variant.name, "language": variant.language}
                    row[code] = about | _cell(there[code])
        if row:
            rows.append({"calibration": calibration, "sparsity": sparsity, "languages": row})
            cells += list(row.values())
    for cell, p in zip(cells, holm([cell["p"]["bleu"] for cell in cells]), strict=True):
        cell["p"]["holm_table"] = p
        cell["significant_table"] = p <= ALPHA
    return {
        "target": metrics["protocol"]["target"],
        "shots": metrics["protocol"]["shots"],
        "data": metrics.get("data"),
        "signatures": metrics["signatures"],
        "dense": {"languages": {code: metrics["languages"][code] for code in codes}},
        "rows": rows,
    }


def _cell(figure: Mapping[str, Any]) -> dict[str, Any]:
    """Of one language in what `compare_runs` says of translations; b is the variant."""
    names = ("bleu", "chrf")
    return {
        "rows": figure["rows"],
        **{name: figure[name]["b"] for name in names},
        "bleu_interval": figure["bleu"]["interval_b"],
        "difference": {name: figure[name]["difference"] for name in names},
        "p": {name: figure[name]["p"] for name in names} | {"holm": figure["holm"]},
        "significant": figure["significant"],
    }
