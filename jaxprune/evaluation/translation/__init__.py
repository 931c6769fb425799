"""Sentences → few-shot prompts → hypotheses → BLEU and chrF."""

from jaxprune.evaluation.translation.bleu import (
    TRANSLATION,
    evaluate_translation,
    paired_bootstrap,
    translation_lines,
)
from jaxprune.evaluation.translation.sentences import (
    Pair,
    Sentences,
    languages,
    read_sentences,
    stop_tokens,
    translation_prompts,
)

__all__ = [
    "TRANSLATION",
    "Pair",
    "Sentences",
    "evaluate_translation",
    "languages",
    "paired_bootstrap",
    "read_sentences",
    "stop_tokens",
    "translation_lines",
    "translation_prompts",
]
