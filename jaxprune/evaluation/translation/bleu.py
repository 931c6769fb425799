"""BLEU and chrF by sacrebleu, with their signatures, for one system and for a comparison of two."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.errors import InputError
from jaxprune.evaluation.translation.results import ScoreComparison, TranslationScores

# Resamples of the sentences; the signature contains the seed.
RESAMPLES = 1000


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target: str = "en"
) -> TranslationScores:
    """Corpus BLEU and chrF, 0 to 100, with sacrebleu's defaults for the target language.

    Raises:
      InputError: no hypotheses, or another number of references; sacrebleu is not installed.
    """
    _check_lines({"hypotheses": hypotheses}, references)
    scores, signatures = {}, {}
    for name, metric in _metrics(target).items():
        scores[name] = metric.corpus_score(list(hypotheses), [list(references)]).score
        signatures[name] = str(metric.get_signature())
    return TranslationScores(**scores, signatures=signatures)


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
    _check_lines({"a": a, "b": b}, references)
    paired_test = import_sacrebleu("significance").PairedTest
    comparisons = {}
    for name, metric in _metrics(target).items():
        test = paired_test(
            [("a", list(a)), ("b", list(b))],
            {name: metric},
            [list(references)],
            test_type="bs",
            n_samples=RESAMPLES,
        )
        signatures, scores = test()
        label = next(iter(signatures))
        first, second = scores[label]
        comparisons[name] = _score_comparison(first, second, str(signatures[label]))
    return comparisons


def _score_comparison(first: Any, second: Any, signature: str) -> ScoreComparison:
    return ScoreComparison(
        a=float(first.score),
        b=float(second.score),
        difference=float(second.score - first.score),
        # for equal systems, sacrebleu's p would be its minimum
        p=float(second.p_value) if second.score != first.score else 1.0,
        interval_a=(float(first.mean - first.ci), float(first.mean + first.ci)),
        interval_b=(float(second.mean - second.ci), float(second.mean + second.ci)),
        signature=signature,
    )


def _metrics(target: str) -> dict[str, Any]:
    metrics = import_sacrebleu("metrics")
    return {"bleu": metrics.BLEU(trg_lang=target), "chrf": metrics.CHRF()}


def import_sacrebleu(module: str) -> Any:
    """A module of sacrebleu; InputError if it is not installed."""
    try:
        return importlib.import_module(f"sacrebleu.{module}")
    except ImportError:
        raise InputError("translation: sacrebleu is not installed; pip install sacrebleu") from None


def _check_lines(systems: Mapping[str, Sequence[str]], references: Sequence[str]) -> None:
    for name, hypotheses in systems.items():
        if len(hypotheses) != len(references) or not references:
            raise InputError(
                f"{name}: {len(hypotheses)} lines; there are {len(references)} references, "
                "allowed: equal numbers, at least one"
            )
