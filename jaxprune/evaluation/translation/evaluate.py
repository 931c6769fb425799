"""A model and sentences → translations."""

from collections.abc import Mapping

from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.evaluation.translation.results import Translated, TranslationProtocol
from jaxprune.evaluation.translation.sentences import Sentences, hypothesise


def translate(
    generator: Generator, languages: Mapping[str, Sentences], protocol: TranslationProtocol
) -> dict[str, Translated]:
    """Translates the sentences of every language.

    Args:
      generator: of the model.
      languages: by code; see `translation.read_sentences`.
      protocol: gives the most tokens of a hypothesis.

    Raises:
      InputError: as `hypothesise`; the model was changed during the evaluation.
    """
    translated = {}
    for code, sentences in languages.items():
        hypotheses = hypothesise(generator, sentences, new_tokens=protocol.max_new_tokens)
        sources, references = zip(*sentences.pairs, strict=True)
        translated[code] = Translated(sources, hypotheses, references)
    generator.model.source.fingerprint.check_unchanged()
    return translated


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
    for code, one in by_language.items():
        scores, signatures = translation_scores(one.hypotheses, one.references, target)
        rows = len(one.references)
        measured += [
            Measurement(*source, code, name, score, None, None, rows)
            for name, score in scores.items()
        ]
    return measured, signatures
