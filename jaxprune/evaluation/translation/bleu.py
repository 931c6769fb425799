"""BLEU and chrF by sacrebleu, with their signatures, for one system and for a comparison of two."""

import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.base.errors import InputError

# Resamples of the sentences; the signature contains the seed.
RESAMPLES = 1000


class SystemComparison(NamedTuple):
    """A score of two systems on the same sentences, 0 to 100, and p of sacrebleu's two-sided paired bootstrap."""

    a: float
    b: float
    p: float


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target: str = "en"
) -> tuple[dict[str, float], dict[str, str]]:
    """Corpus BLEU and chrF, 0 to 100, with sacrebleu's defaults for the target language, and their signatures.

    Returns:
      The scores and the signatures by name, "bleu" and "chrf".

    Raises:
      InputError: as `metrics_of`.
    """
    scores, signatures = {}, {}
    for name, metric in metrics_of(target).items():
        scores[name] = float(metric.corpus_score(list(hypotheses), [list(references)]).score)
        signatures[name] = str(metric.get_signature())
    return scores, signatures


def compare_systems(
    a: Sequence[str], b: Sequence[str], references: Sequence[str], *, target: str = "en"
) -> dict[str, SystemComparison]:
    """Compares two systems on the same sentences by sacrebleu's paired bootstrap test (Koehn, 2004).

    Args:
      a, b: hypotheses of the two systems.
      references: references of the same sentences.
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
        [label] = signatures
        first, second = scores[label]
        # for equal systems, sacrebleu's p would be its minimum
        p = float(second.p_value) if second.score != first.score else 1.0
        comparisons[name] = SystemComparison(float(first.score), float(second.score), p)
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
        raise InputError(
            "evaluation.translation: sacrebleu is not installed; pip install sacrebleu, or leave translations out "
            "with --config.evaluation.translation="
        ) from None
