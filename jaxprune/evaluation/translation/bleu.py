"""BLEU and chrF by sacrebleu, with their signatures; systems compared, and what is written of a run."""

from __future__ import annotations

import importlib
import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.devices import hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.generation import BATCH, Generator
from jaxprune.evaluation.translation.sentences import NEW_TOKENS, Sentences, hypothesise
from jaxprune.files import whole_folder, write_json

TRANSLATION = "translation"
RESAMPLES = 1000


def translation_scores(
    hypotheses: Sequence[str], references: Sequence[str], target: str = "en"
) -> dict[str, Any]:
    """Corpus BLEU and chrF, 0 to 100, with sacrebleu's defaults for the target language.

    Returns:
      "bleu", "chrf", and "signatures", which say how each was computed.

    Raises:
      InputError: nothing to score, or not as many references; sacrebleu is not installed.
    """
    _check_lines({"hypotheses": hypotheses}, references)
    scores: dict[str, Any] = {"signatures": {}}
    for name, metric in _metrics(target).items():
        scores[name] = metric.corpus_score(list(hypotheses), [list(references)]).score
        scores["signatures"][name] = str(metric.get_signature())
    return scores


def paired_bootstrap(
    a: Sequence[str],
    b: Sequence[str],
    references: Sequence[str],
    *,
    target: str = "en",
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Whether two systems differ on the same sentences: sacrebleu's paired bootstrap test (Koehn, 2004).

    Args:
      a, b: hypotheses of the two systems.
      references: of the same sentences.
      resamples: of the sentences, with the seed that the signature names.

    Returns:
      By metric ("bleu", "chrf"): "a", "b" and "difference" (b minus a), "p" (two-sided), "interval_a" and
      "interval_b" (95%), "signature".

    Raises:
      InputError: as `translation_scores`.
    """
    _check_lines({"a": a, "b": b}, references)
    significance = _sacrebleu("significance")
    found = {}
    for name, metric in _metrics(target).items():
        test = significance.PairedTest(
            [("a", list(a)), ("b", list(b))],
            {name: metric},
            [list(references)],
            test_type="bs",
            n_samples=resamples,
        )
        signatures, scores = test()
        label = next(iter(signatures))
        first, second = scores[label]
        found[name] = {
            "a": float(first.score),
            "b": float(second.score),
            "difference": float(second.score - first.score),
            # sacrebleu's p of two equal systems would be its smallest
            "p": float(second.p_value) if second.score != first.score else 1.0,
            "interval_a": [float(first.mean - first.ci), float(first.mean + first.ci)],
            "interval_b": [float(second.mean - second.ci), float(second.mean + second.ci)],
            "signature": str(signatures[label]),
        }
    return found


def _metrics(target: str) -> dict[str, Any]:
    metrics = _sacrebleu("metrics")
    return {"bleu": metrics.BLEU(trg_lang=target), "chrf": metrics.CHRF()}


def _sacrebleu(module: str) -> Any:
    try:
        return importlib.import_module(f"sacrebleu.{module}")
    except ImportError:
        raise InputError(
            'translation: sacrebleu is not installed; pip install "jaxprune[evaluation]"'
        ) from None


def _check_lines(systems: Mapping[str, Sequence[str]], references: Sequence[str]) -> None:
    for name, hypotheses in systems.items():
        if len(hypotheses) != len(references) or not references:
            raise InputError(
                f"{name}: {len(hypotheses)} lines; there are {len(references)} references, "
                "allowed: as many, and at least one"
            )


def evaluate_translation(
    generator: Generator,
    languages: Mapping[str, Sentences],
    workdir: Path,
    *,
    beams: int = 1,
    length_penalty: float = 1.0,
    max_new_tokens: int = NEW_TOKENS,
    batch: int = BATCH,
    about: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Translates and scores every language.

    Args:
      generator: of the model.
      languages: by code; see `translation.read_sentences`.
      workdir: gets `translation/<language>.jsonl`, one {"source", "hypothesis", "reference"} a line, and
        `translation/metrics.json`. An earlier one goes first, and the folder appears when it is whole.
      beams, length_penalty, max_new_tokens, batch: see `Generator`.
      about: what else metrics.json tells, such as the model.

    Returns:
      What metrics.json holds: "languages" (by code "bleu", "chrf", "rows"), "signatures", "protocol", `about`.

    Raises:
      InputError: as `hypothesise`; sacrebleu is not installed.
    """
    _sacrebleu("metrics")  # before the work
    if hosts.is_first():
        shutil.rmtree(workdir / TRANSLATION, ignore_errors=True)
    began = time.perf_counter()
    settings = {"beams": beams, "length_penalty": length_penalty, "max_new_tokens": max_new_tokens}
    figures, signatures, found = {}, {}, {}
    for code, sentences in languages.items():
        found[code] = hypothesise(generator, sentences, batch=batch, **settings)  # type: ignore[arg-type]
        references = [pair.target for pair in sentences.pairs]
        scores = translation_scores(found[code], references, sentences.target)
        signatures = scores.pop("signatures")
        figures[code] = {**scores, "rows": len(references)}
    first = next(iter(languages.values()))
    metrics = {
        "task": TRANSLATION,
        "languages": figures,
        "signatures": signatures,
        "protocol": {
            "target": first.target,
            "shots": len(first.demonstrations),
            **settings,
            "stop": "eos or a line break",
        },
        **(about or {}),
        "seconds": round(time.perf_counter() - began, 3),
    }
    if hosts.is_first():
        _write(workdir, metrics, languages, found)
    return metrics


def _write(
    workdir: Path,
    metrics: Mapping[str, Any],
    languages: Mapping[str, Sentences],
    found: Mapping[str, Sequence[str]],
) -> None:
    with whole_folder(workdir / TRANSLATION) as folder:
        for code, sentences in languages.items():
            _write_rows(folder / f"{code}.jsonl", sentences, found[code])
        write_json(folder / "metrics.json", metrics)


def _write_rows(path: Path, sentences: Sentences, hypotheses: Sequence[str]) -> None:
    rows = (
        {"source": pair.source, "hypothesis": hypothesis, "reference": pair.target}
        for pair, hypothesis in zip(sentences.pairs, hypotheses, strict=True)
    )
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def translation_lines(metrics: Mapping[str, Any]) -> list[str]:
    """The table of a run, for the terminal."""
    protocol = metrics["protocol"]
    lines = [
        f"translation into {protocol['target']}, {protocol['shots']} shots, {protocol['beams']} beams",
        f"{'':<9}{'rows':>6}{'BLEU':>8}{'chrF':>8}",
    ]
    return lines + [
        f"{code:<9}{figure['rows']:>6}{figure['bleu']:>8.1f}{figure['chrf']:>8.1f}"
        for code, figure in metrics["languages"].items()
    ]
