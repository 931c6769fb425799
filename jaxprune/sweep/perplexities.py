"""Perplexities of all variants on the same text, over those of the dense model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.config import Config
from jaxprune.evaluation.comparison import Comparison, compare_perplexity
from jaxprune.sweep.plan import Variant
from jaxprune.sweep.records import (
    DensePerplexity,
    PerplexityCell,
    PerplexityRow,
    PerplexityTables,
)


def perplexity_tables(
    config: Config, dense: Path, comparisons: Mapping[Variant, Comparison], codes: Sequence[str]
) -> PerplexityTables | None:
    """A row for each variant; None where perplexity was not measured.

    Args:
      config: of the sweep.
      dense: its folder.
      comparisons: of each variant with dense.
      codes: languages, in order.
    """
    found = compare_perplexity(dense, dense)
    if found is None or config.evaluation.perplexity is None:
        return None
    rows = [_row(variant, comparison, codes) for variant, comparison in comparisons.items()]
    return PerplexityTables(
        data=config.evaluation.perplexity,
        lines=config.evaluation.perplexity_lines,
        dense={
            code: DensePerplexity(found[code].perplexity.a, found[code].tokens)
            for code in codes
            if code in found
        },
        variants=tuple(row for row in rows if row.languages),
    )


def _row(variant: Variant, comparison: Comparison, codes: Sequence[str]) -> PerplexityRow:
    of_code = comparison.perplexity or {}
    return PerplexityRow(
        variant=variant.name,
        calibration=variant.calibration,
        language=variant.language,
        sparsity=variant.sparsity,
        languages={
            code: PerplexityCell(one.perplexity.b, one.ratio, one.interval)
            for code in codes
            if (one := of_code.get(code))
        },
    )
