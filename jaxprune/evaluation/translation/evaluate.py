"""A model and sentences → `<workdir>/translation`: hypotheses, their scores, a table on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.metrics_json import METRICS
from jaxprune.evaluation.translation.bleu import import_sacrebleu, translation_scores
from jaxprune.evaluation.translation.results import (
    TRANSLATION,
    LanguageScores,
    TranslationProtocol,
    TranslationResult,
)
from jaxprune.evaluation.translation.sentences import NEW_TOKENS, Sentences, hypothesise
from jaxprune.files import sealed, write_json
from jaxprune.tables import columns, count, tenths


def evaluate_translation(
    generator: Generator,
    languages: Mapping[str, Sentences],
    workdir: Path,
    *,
    beams: int = 1,
    max_new_tokens: int = NEW_TOKENS,
    about: Mapping[str, Any] | None = None,
) -> TranslationResult:
    """Translates and scores every language.

    Args:
      generator: of the model.
      languages: by code; see `translation.read_sentences`.
      workdir: gets `translation/<language>.jsonl`, one {"source", "hypothesis", "reference"} a line, and
        `translation/metrics.json`. The folder appears, in place of an earlier one, when it is whole.
      beams, max_new_tokens: see `Generator`.
      about: what else metrics.json tells, such as the model.

    Returns:
      What metrics.json holds.

    Raises:
      InputError: as `translate`; sacrebleu is not installed; the model changed meanwhile.
    """
    import_sacrebleu("metrics")  # before the work
    if hosts.is_first():
        sealed.check_replaceable(workdir / TRANSLATION, overwrite=True)
    began = time.perf_counter()
    hypotheses, figures, signatures = {}, {}, {}
    for code, sentences in languages.items():
        hypotheses[code] = hypothesise(
            generator, sentences, beams=beams, max_new_tokens=max_new_tokens
        )
        references = [pair.target for pair in sentences.pairs]
        scores = translation_scores(hypotheses[code], references, sentences.target)
        figures[code] = LanguageScores(scores.bleu, scores.chrf, len(references))
        signatures = dict(scores.signatures)
    first = next(iter(languages.values()))
    result = TranslationResult(
        languages=figures,
        signatures=signatures,
        protocol=TranslationProtocol(
            target=first.target, shots=len(first.demonstrations), beams=beams,
            max_new_tokens=max_new_tokens,
        ),
        about=dict(about or {}),
        seconds=round(time.perf_counter() - began, 3),
    )  # fmt: skip
    generator.model.source.fingerprint.check_unchanged()
    if hosts.is_first():
        _write(workdir, result, languages, hypotheses)
    return result


def _write(
    workdir: Path,
    result: TranslationResult,
    languages: Mapping[str, Sentences],
    hypotheses: Mapping[str, Sequence[str]],
) -> None:
    with sealed.whole_folder(workdir / TRANSLATION) as folder:
        for code, sentences in languages.items():
            _write_rows(folder / f"{code}.jsonl", sentences, hypotheses[code])
        write_json(folder / METRICS, result.json())


def _write_rows(path: Path, sentences: Sentences, hypotheses: Sequence[str]) -> None:
    rows = (
        {"source": pair.source, "hypothesis": hypothesis, "reference": pair.target}
        for pair, hypothesis in zip(sentences.pairs, hypotheses, strict=True)
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def translation_lines(result: TranslationResult) -> list[str]:
    """The table of a run, for the terminal."""
    protocol = result.protocol
    title = f"translation into {protocol.target}, {protocol.shots} shots, {protocol.beams} beams"
    rows = [
        [code, count(figure.rows), tenths(figure.bleu), tenths(figure.chrf)]
        for code, figure in result.languages.items()
    ]
    return [title, *columns(["", "rows", "BLEU", "chrF"], rows)]
