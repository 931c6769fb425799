"""A config and a model → an `Evaluation`, and a folder of the workdir for each task, text and translation."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxprune.base.workdir.reading import MODEL_DIGEST
from jaxprune.devices import hosts
from jaxprune.devices.machine import environment
from jaxprune.devices.sharding import device_mesh
from jaxprune.evaluation.config import RESIDENT, EvaluateConfig
from jaxprune.evaluation.evaluation import Evaluation, Part
from jaxprune.evaluation.folders import write_part
from jaxprune.evaluation.generation.generator import Generator
from jaxprune.evaluation.identity import IDENTITY, identities
from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.overlap import calibration_overlap
from jaxprune.evaluation.scoring.metrics import task_measurements
from jaxprune.evaluation.scoring.options import question_scores
from jaxprune.evaluation.scoring.perplexity import (
    PERPLEXITY,
    Perplexity,
    PlainText,
    perplexity,
    perplexity_measurements,
)
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.scoring.scores import Scored
from jaxprune.evaluation.tasks.questions import TaskQuestions
from jaxprune.evaluation.translation.evaluate import translation_measurements
from jaxprune.evaluation.translation.results import TRANSLATION, Translated, TranslationProtocol
from jaxprune.evaluation.translation.sentences import NEW_TOKENS, Sentences, hypothesise
from jaxprune.evaluation.workload import Workload
from jaxprune.hf.model import Model


def evaluate_all(
    scorer: Scorer,
    workload: Workload,
    config: EvaluateConfig,
    workdir: Path | None,
    facts: Mapping[str, Any],
    *,
    new_tokens: int = NEW_TOKENS,
) -> Evaluation:
    """Evaluates a model, and writes a folder for each task, for perplexity and for translation.

    Args:
      scorer: scorer of the model.
      workload: tasks, texts and sentences.
      config: the sources of texts and sentences, and the settings of translation.
      workdir: folder for the parts of the evaluation, see `write_part`; None writes no files.
      facts: facts for every evaluation.json, with `run` and `model`, see `facts_of`.
      new_tokens: limit on the tokens of a translation.
    """
    by_folder = identities(workload, scorer.model, config.dtype)
    parts: dict[str, Part] = {}

    def finish(name: str, part: Part) -> None:
        scorer.model.source.fingerprint.check_unchanged()
        write_part(workdir, name, part)
        parts[name] = part

    for questions in workload.tasks:
        name = questions.task.name
        finish(name, score_task(scorer, questions, {**facts, IDENTITY: by_folder[name]}))
    if workload.texts:
        data, identity = config.evaluation.perplexity, by_folder[PERPLEXITY]
        text_facts = {**facts, "data": data, IDENTITY: identity}
        text_facts |= calibration_overlap(scorer.model, workload.texts, workdir)
        finish(PERPLEXITY, measure_texts(scorer, workload.texts, text_facts))
    if workload.sentences:
        generator = Generator(
            scorer.model, dtype=config.dtype, mesh=scorer.mesh, progress=scorer.progress
        )
        data, identity = config.evaluation.translation, by_folder[TRANSLATION]
        translation_facts = {**facts, "data": data, IDENTITY: identity}
        first = next(iter(workload.sentences.values()))
        protocol = TranslationProtocol(first.target, len(first.demonstrations), new_tokens)
        translated = translate_texts(generator, workload.sentences, protocol, translation_facts)
        finish(TRANSLATION, translated)
    return Evaluation(name=facts["run"], parts=parts)


def scorer_of(model: Model, config: EvaluateConfig) -> Scorer:
    """A scorer of the model with the settings of a config."""
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    resident = RESIDENT[config.evaluation.weights]
    return Scorer(
        model, dtype=config.dtype, mesh=mesh, resident=resident, progress=hosts.is_first()
    )


def facts_of(config: EvaluateConfig, model: Model, run: str) -> dict[str, Any]:
    """Facts for every evaluation.json: the name of the run, settings, the digest of the model, the environment."""
    settings = {key: getattr(config, key) for key in ("model", "revision", "dtype", "seed")}
    digest = {MODEL_DIGEST: model.source.fingerprint.digest}
    environs = environment(device_mesh(config.mesh.data, config.mesh.model))
    return {"run": run, **settings, **digest, "environment": environs}


def score_task(scorer: Scorer, task_questions: TaskQuestions, facts: Mapping[str, Any]) -> Part:
    """Scores a task in all its languages.

    Args:
      scorer: scorer of the model.
      task_questions: the questions.
      facts: facts for evaluation.json, see `facts_of`.

    Raises:
      InputError: as `scoring.question_scores`; a score that is no number.
    """
    began = time.perf_counter()
    task, protocol, scored = task_questions.task, task_questions.protocol, {}
    for number, (code, rows) in enumerate(task_questions.languages.items(), start=1):
        name = f"{task.name} {code} {number}/{len(task_questions.languages)}"
        scored[code] = Scored(
            question_scores(scorer, rows, protocol, name),
            np.array([question.label for question in rows], np.int32),
            np.array([question.row for question in rows], np.int32),
            np.array([question.group for question in rows], np.int32) if task.group else None,
        )
    measured = task_measurements(_source(facts, task.name), scored, parallel=task.parallel)
    labels = list(task.labels) if task.labels else None
    settings: dict[str, Any] = {"task": task.name, "protocol": protocol, "labels": labels}
    settings |= {"data": task_questions.data, "parallel": task.parallel}
    return _part({**settings, **facts}, measured, scored, began)


def measure_texts(
    scorer: Scorer, by_language: Mapping[str, PlainText], facts: Mapping[str, Any]
) -> Part:
    """Perplexity on plain text of each language.

    Args:
      scorer: scorer of the model.
      by_language: texts by code.
      facts: facts for evaluation.json, see `facts_of`.
    """
    began = time.perf_counter()
    measured = {
        code: perplexity(scorer, text, f"{PERPLEXITY} {code}") for code, text in by_language.items()
    }
    measurements = perplexity_measurements(_source(facts, PERPLEXITY), measured)
    return _part(facts, measurements, measured, began)


def translate_texts(
    generator: Generator,
    by_language: Mapping[str, Sentences],
    protocol: TranslationProtocol,
    facts: Mapping[str, Any],
) -> Part:
    """Translates the sentences of each language; `facts` are for evaluation.json, see `facts_of`."""
    began = time.perf_counter()
    translated = {}
    for code, sentences in by_language.items():
        hypotheses = hypothesise(generator, sentences, protocol.max_new_tokens)
        sources, references = zip(*sentences.pairs, strict=True)
        translated[code] = Translated(sources, hypotheses, references)
    source = _source(facts, TRANSLATION)
    measured, signatures = translation_measurements(source, translated, protocol.target)
    settings = {"protocol": protocol._asdict(), "signatures": signatures}
    return _part({**settings, **facts}, measured, translated, began)


def _source(facts: Mapping[str, Any], task: str) -> tuple[str, str, str]:
    return facts["run"], facts["model"], task


def _part(
    facts: Mapping[str, Any],
    measurements: Sequence[Measurement],
    rows: Mapping[str, Scored | Perplexity | Translated],
    began: float,
) -> Part:
    """A part with its languages and seconds among the facts."""
    seconds = round(time.perf_counter() - began, 3)
    all_facts = {**facts, "languages": [*rows], "seconds": seconds}
    return Part(facts=all_facts, measurements=measurements, rows=rows)
