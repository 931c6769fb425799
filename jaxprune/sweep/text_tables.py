"""Tables of a sweep where there are no options to choose from: translation and perplexity, against dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.config import Config
from jaxprune.evaluation.comparison import Comparison, EvaluatedRun, TranslationLanguage
from jaxprune.evaluation.scoring import ALPHA, holm
from jaxprune.evaluation.translation import TranslationResult
from jaxprune.sweep.plan import Variant, by_row
from jaxprune.sweep.tables_json import (
    DensePerplexity,
    DenseTranslations,
    PerplexityCell,
    PerplexityRow,
    PerplexityTables,
    ScorePair,
    TranslationCell,
    TranslationP,
    TranslationRow,
    TranslationTables,
)


def translation_tables(
    dense: Path, comparisons: Mapping[Variant, Comparison], codes: Sequence[str]
) -> TranslationTables | None:
    """The paper's table 1: rows as of a task, BLEU and chrF on the same sentences; None where nothing was translated.

    Args:
      dense: folder of the dense model.
      comparisons: of each variant with dense.
      codes: languages, in order.
    """
    result = TranslationResult.read(dense)
    if result is None:
        return None
    codes = [code for code in codes if code in result.languages]
    shown = by_row(
        {v: one.translation.languages if one.translation else {} for v, one in comparisons.items()},
        codes,
    )
    p_values = [figure.bleu.p for row in shown.values() for _, figure in row.values()]
    adjusted = iter(holm(p_values))
    rows = [
        TranslationRow(
            **group._asdict(),
            languages={code: _translation_cell(*one, next(adjusted)) for code, one in row.items()},
        )
        for group, row in shown.items()
        if row
    ]
    return TranslationTables(
        target=result.protocol.target,
        shots=result.protocol.shots,
        data=result.about.get("data"),
        signatures=result.signatures,
        dense=DenseTranslations({code: result.languages[code] for code in codes}),
        rows=tuple(rows),
    )


def _translation_cell(
    variant: Variant, figure: TranslationLanguage, p_table: float
) -> TranslationCell:
    bleu, chrf = figure.bleu, figure.chrf
    return TranslationCell(
        variant=variant.name,
        language=variant.language,
        rows=figure.rows,
        bleu=bleu.b,
        chrf=chrf.b,
        bleu_interval=bleu.interval_b,
        difference=ScorePair(bleu.difference, chrf.difference),
        p=TranslationP(bleu=bleu.p, chrf=chrf.p, holm=figure.holm, holm_table=p_table),
        significant=figure.significant,
        significant_table=p_table <= ALPHA,
    )


def perplexity_tables(
    config: Config,
    dense: EvaluatedRun,
    comparisons: Mapping[Variant, Comparison],
    codes: Sequence[str],
) -> PerplexityTables | None:
    """A row for each variant, on the same text; None where perplexity was not measured."""
    fields, found = config.evaluation, dense.perplexity
    if not found or fields.perplexity is None:
        return None
    cells = {
        variant: {
            code: PerplexityCell(one.perplexity.b, one.ratio, one.interval)
            for code in codes
            if (one := (comparison.perplexity or {}).get(code))
        }
        for variant, comparison in comparisons.items()
    }
    return PerplexityTables(
        data=fields.perplexity,
        lines=fields.perplexity_lines,
        dense={
            code: DensePerplexity(found[code].perplexity, found[code].tokens)
            for code in codes
            if code in found
        },
        variants=tuple(
            PerplexityRow(**variant.facts, languages=languages)
            for variant, languages in cells.items()
            if languages
        ),
    )
