"""Translations → measurements."""

from collections.abc import Mapping

from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.evaluation.translation.results import Translated


def translation_measurements(
    source: tuple[str, str, str], by_language: Mapping[str, Translated], target: str
) -> tuple[list[Measurement], dict[str, str]]:
    """BLEU and chrF by language, and sacrebleu's signatures by metric.

    Args:
      source: names of the run, the model and the task.
      by_language: translations into `target`.

    Raises:
      InputError: sacrebleu is not installed.
    """
    measured, signatures = list[Measurement](), dict[str, str]()
    for code, translated in by_language.items():
        _, hypotheses, references = translated
        scores, signatures = translation_scores(hypotheses, references, target)
        rows = len(references)
        measured += [
            Measurement(*source, code, name, score, None, None, rows)
            for name, score in scores.items()
        ]
    return measured, signatures
