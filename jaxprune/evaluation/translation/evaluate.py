"""A model and sentences → `<workdir>/translation`: hypotheses and their scores."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.metrics_json import METRICS
from jaxprune.evaluation.translation.bleu import translation_scores
from jaxprune.evaluation.translation.results import (
    TRANSLATION,
    TranslationProtocol,
    TranslationResult,
)
from jaxprune.evaluation.translation.sentences import NEW_TOKENS, Pair, Sentences, hypothesise
from jaxprune.files import sealed, write_json


def evaluate_translation(
    generator: Generator,
    languages: Mapping[str, Sentences],
    workdir: Path | None,
    about: Mapping[str, Any],
    *,
    beams: int = 1,
    new_tokens: int = NEW_TOKENS,
) -> TranslationResult:
    """Translates and scores every language.

    Args:
      generator: of the model.
      languages: by code; see `translation.read_sentences`.
      workdir: `translation/<language>.jsonl`, one {"source", "hypothesis", "reference"} per line, and
        `translation/metrics.json` are written there. The complete folder replaces an earlier one. None: no files.
      about: entries for metrics.json, such as the model.
      beams, new_tokens: see `hypothesise`.

    Raises:
      InputError: as `hypothesise`; sacrebleu is not installed; the model was changed during the evaluation.
    """
    began = time.perf_counter()
    hypotheses, figures = {}, {}
    signatures: dict[str, str] = {}
    for code, sentences in languages.items():
        found = hypothesise(generator, sentences, beams=beams, new_tokens=new_tokens)
        references = [pair.target for pair in sentences.pairs]
        figures[code], signatures = translation_scores(found, references, sentences.target)
        hypotheses[code] = found
    first = next(iter(languages.values()))
    result = TranslationResult(
        languages=figures,
        signatures=signatures,
        protocol=TranslationProtocol(
            target=first.target, shots=len(first.demonstrations), beams=beams, max_new_tokens=new_tokens
        ),
        about=about,
        seconds=round(time.perf_counter() - began, 3),
    )  # fmt: skip
    generator.model.source.fingerprint.check_unchanged()
    if workdir is not None and hosts.is_first():
        with sealed.whole_folder(workdir / TRANSLATION) as folder:
            for code, sentences in languages.items():
                _write_rows(folder / f"{code}.jsonl", sentences.pairs, hypotheses[code])
            write_json(folder / METRICS, result.json())
    return result


def _write_rows(path: Path, pairs: Sequence[Pair], hypotheses: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for (source, reference), hypothesis in zip(pairs, hypotheses, strict=True):
            row = {"source": source, "hypothesis": hypothesis, "reference": reference}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
