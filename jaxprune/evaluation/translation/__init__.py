"""Sentences → few-shot prompts → hypotheses → BLEU and chrF."""

from jaxprune.evaluation.translation.bleu import compare_systems, import_sacrebleu
from jaxprune.evaluation.translation.evaluate import evaluate_translation, translation_lines
from jaxprune.evaluation.translation.results import (
    TRANSLATION,
    LanguageScores,
    ScoreComparison,
    SystemComparison,
    TranslationResult,
)
from jaxprune.evaluation.translation.sentences import (
    NEW_TOKENS,
    Pair,
    Sentences,
    languages,
    read_sentences,
    stop_tokens,
    translation_prompts,
)

__all__ = [
    "NEW_TOKENS",
    "TRANSLATION",
    "LanguageScores",
    "Pair",
    "ScoreComparison",
    "Sentences",
    "SystemComparison",
    "TranslationResult",
    "compare_systems",
    "evaluate_translation",
    "import_sacrebleu",
    "languages",
    "read_sentences",
    "stop_tokens",
    "translation_lines",
    "translation_prompts",
]
