"""BLEU and chrF by sacrebleu, with their signatures, for one system and for a comparison of two."""

import importlib
from collections.abc import Sequence
from typing import Any

from jaxprune.errors import InputError
from jaxprune.evaluation.translation.results import LanguageScores, ScoreComparison

# Resamples of the sentences; the signature contains the seed.
RESAMPLES = 1000


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target: str = "en"
) -> tuple[LanguageScores, dict[str, str]]:
    """Corpus BLEU and chrF with sacrebleu's defaults for the target language, and their signatures by metric.

    Raises:
      InputError: as `metrics_of`.
    """
    scores, signatures = {}, {}
    for name, metric in metrics_of(target).items():
        scores[name] = metric.corpus_score(list(hypotheses), [list(references)]).score
        signatures[name] = str(metric.get_signature())
    return LanguageScores(**scores, rows=len(references)), signatures


def compare_systems(
    a: Sequence[str], b: Sequence[str], references: Sequence[str], *, target: str = "en"
) -> dict[str, ScoreComparison]:
    """Compares two systems on the same sentences by sacrebleu's paired bootstrap test (Koehn, 2004).

    Args:
      a, b: hypotheses of the two systems.
      references: of the same sentences.
      target: language of all three.

    Returns:
      The comparisons by name, "bleu" and "chrf".

    Raises:
      InputError: as `translation_scores`.
    """
    paired_test = _import("significance").PairedTest
    comparisons = {}
    for name, metric in metrics_of(target).items():
        test = paired_test(
            [("a", list(a)), ("b", list(b))],
            {name: metric},
            [list(references)],
            test_type="bs",
            n_samples=RESAMPLES,
        )
        signatures, scores = test()
        [[label, signature]] = signatures.items()
        first, second = scores[label]
        comparisons[name] = ScoreComparison(
            a=float(first.score),
            b=float(second.score),
            difference=float(second.score - first.score),
            # for equal systems, sacrebleu's p would be its minimum
            p=float(second.p_value) if second.score != first.score else 1.0,
            interval_a=(float(first.mean - first.ci), float(first.mean + first.ci)),
            interval_b=(float(second.mean - second.ci), float(second.mean + second.ci)),
            signature=str(signature),
        )
    return comparisons


def metrics_of(target: str) -> dict[str, Any]:
    """BLEU, with the tokenizer of the target language, and chrF.

    Raises:
      InputError: sacrebleu, or the tokenizer of a language such as Japanese, is not installed.
    """
    metrics = _import("metrics")
    try:
        return {"bleu": metrics.BLEU(trg_lang=target), "chrf": metrics.CHRF()}
    except RuntimeError as error:
        raise InputError(f"translation: {' '.join(str(error).split())}") from None


def _import(module: str) -> Any:
    try:
        return importlib.import_module(f"sacrebleu.{module}")
    except ImportError:
        raise InputError("translation: sacrebleu is not installed; pip install sacrebleu") from None
