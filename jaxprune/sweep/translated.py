"""The paper's table 1: translation into the target language, BLEU and chrF, against dense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.evaluation.comparison import Comparison, TranslationLanguage
from jaxprune.evaluation.scoring import ALPHA, holm
from jaxprune.evaluation.translation import TranslationResult
from jaxprune.sweep.plan import Group, Variant
from jaxprune.sweep.tables_json import (
    DenseTranslations,
    ScorePair,
    TranslationCell,
    TranslationP,
    TranslationRow,
    TranslationTables,
)

Groups = Mapping[Group, Sequence[Variant]]
# What each row shows in a language: the variant, and how its translations compare with dense.
_Shown = dict[str, tuple[Variant, TranslationLanguage]]


def translation_tables(
    dense: Path, groups: Groups, comparisons: Mapping[Variant, Comparison], codes: Sequence[str]
) -> TranslationTables | None:
    """Rows as in `tables`, of what each variant made of the same sentences; None where nothing was translated.

    Args:
      dense: its folder.
      groups: variants by row.
      comparisons: of each variant with dense.
      codes: languages, in order.
    """
    result = TranslationResult.read(dense)
    if result is None:
        return None
    codes = [code for code in codes if code in result.languages]
    shown = {group: _shown(members, comparisons, codes) for group, members in groups.items()}
    chances = [figure.bleu.p for row in shown.values() for _, figure in row.values()]
    corrected = iter(holm(chances))
    rows = tuple(
        TranslationRow(
            **group._asdict(),
            languages={
                code: _cell(variant, figure, next(corrected))
                for code, (variant, figure) in row.items()
            },
        )
        for group, row in shown.items()
        if row
    )
    return TranslationTables(
        target=result.protocol.target,
        shots=result.protocol.shots,
        data=result.about.get("data"),
        signatures=result.signatures,
        dense=DenseTranslations({code: result.languages[code] for code in codes}),
        rows=rows,
    )


def _shown(
    members: Sequence[Variant], comparisons: Mapping[Variant, Comparison], codes: Sequence[str]
) -> _Shown:
    row: _Shown = {}
    for variant in members:
        translation = comparisons[variant].translation
        for code in codes:
            if translation and code in translation.languages and variant.serves(code):
                row[code] = variant, translation.languages[code]
    return row


def _cell(variant: Variant, figure: TranslationLanguage, p_table: float) -> TranslationCell:
    """Of a comparison with dense, of which B is the variant."""
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
