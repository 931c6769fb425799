"""A config and a model → `<workdir>/<task>`: scores of every language, their figures, a table on the terminal."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict
from jaxtyping import Float

from jaxprune.devices import device_mesh, hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.config import RESIDENT, EvaluateConfig
from jaxprune.evaluation.continuations import continue_lines
from jaxprune.evaluation.folders import clear_folders, write_folder
from jaxprune.evaluation.generation import Generator, check_beams
from jaxprune.evaluation.identity import IDENTITY, identities, row_digest
from jaxprune.evaluation.overlap import calibration_overlap
from jaxprune.evaluation.results import PerplexityResult, TaskResult
from jaxprune.evaluation.scoring import (
    PERPLEXITY,
    Scored,
    Scorer,
    perplexity,
    question_scores,
    task_metrics,
)
from jaxprune.evaluation.summary import Result, print_summary
from jaxprune.evaluation.tasks import Question, TaskQuestions
from jaxprune.evaluation.translation import NEW_TOKENS, TRANSLATION, evaluate_translation
from jaxprune.evaluation.workload import Workload, read_workload
from jaxprune.hf import Model, load
from jaxprune.ledger import MODEL_DIGEST, open_workdir
from jaxprune.runs import environment

Scoring = Callable[[str, Sequence[Question], str, str], Float[np.ndarray, "R C"]]


def evaluate_from_config(
    config: EvaluateConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Result]:
    """Evaluates a model on all data that `config.evaluation` names.

    All rows and texts are read before the model, so that faults in them are reported at once.

    Args:
      config: validated.
      workdir: gets a folder for each task (see `evaluate_all`), `perplexity/` and `translation/`. A folder appears
        when it is complete. The same evaluation is repeated.
      overwrite: replace the scores of another model, or of other questions or settings.

    Returns:
      The results by folder.

    Raises:
      InputError: config, model or data do not fit; another job writes to the workdir; a folder has the scores of
        another evaluation; processes have different jobs.
    """
    fields = config.evaluation
    workload = read_workload(config, lambda _: fields.languages)
    if not (workload.tasks or workload.texts or workload.sentences):
        raise InputError(
            "evaluation.tasks: got ''; allowed: tasks, or nothing with evaluation.perplexity or evaluation.translation"
        )
    model = load(config.model, config.revision)
    check_beams(model.config, fields.beams)
    scorer = scorer_of(model, config)
    known = identities(workload, model, config.dtype, fields.beams)
    about = facts(config, model)
    identity = {MODEL_DIGEST: about[MODEL_DIGEST], **flatten_dict(known, sep=" ")}
    with open_workdir(workdir, identity):
        if hosts.is_first():
            clear_folders(workdir, known, model, overwrite)
        lines = fields.weights != "streamed"
        results = evaluate_all(scorer, workload, config, workdir, about, continuations=lines)
    if hosts.is_first():
        print_summary(results, workdir)
    return results


def evaluate_all(
    scorer: Scorer,
    workload: Workload,
    config: EvaluateConfig,
    workdir: Path | None,
    about: Mapping[str, Any],
    *,
    score: Scoring | None = None,
    new_tokens: int = NEW_TOKENS,
    continuations: bool = False,
) -> dict[str, Result]:
    """Evaluates a model, and writes a folder for each task, for perplexity and for translation.

    Args:
      scorer: of the model.
      workload: tasks, texts and sentences.
      config: the sources of texts and sentences, and the settings of translation.
      workdir: gets `<task>/<language>.npz` with the arrays of `Scored`, and `<task>/metrics.json`. None: no files.
      about: facts for every metrics.json, such as the model.
      score: see `score_task`.
      new_tokens: the most of a translation.
      continuations: whether to continue the first lines of each text, see `continue_lines`.

    Returns:
      The results by folder.
    """
    fields = config.evaluation
    known = identities(workload, scorer.model, config.dtype, fields.beams)
    results: dict[str, Result] = {}
    for one in workload.tasks:
        found = score_task(scorer, one, {**about, IDENTITY: known[one.task.name]}, score)
        write_folder(workdir, found.task, found.json(), found.scored)
        results[found.task] = found
    if workload.texts:
        about_text = {**about, "data": fields.perplexity, IDENTITY: known[PERPLEXITY]}
        about_text |= calibration_overlap(scorer.model, workload.texts, workdir)
        measured = measure_perplexity(scorer, workload.texts, about_text)
        if continuations:
            continued = continue_lines(scorer, workload.texts)
            measured = dataclasses.replace(measured, continuations=continued)
        write_folder(workdir, PERPLEXITY, measured.json(), {})
        results[PERPLEXITY] = measured
    if workload.sentences:
        results[TRANSLATION] = evaluate_translation(
            Generator(scorer.model, dtype=config.dtype, mesh=scorer.mesh, progress=scorer.progress),
            workload.sentences,
            workdir,
            {**about, "data": fields.translation, IDENTITY: known[TRANSLATION]},
            beams=fields.beams,
            new_tokens=new_tokens,
        )
    return results


def scorer_of(model: Model, config: EvaluateConfig) -> Scorer:
    """A scorer of the model with the settings of a config."""
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    resident = RESIDENT[config.evaluation.weights]
    return Scorer(
        model, dtype=config.dtype, mesh=mesh, resident=resident, progress=hosts.is_first()
    )


def facts(config: EvaluateConfig, model: Model) -> dict[str, Any]:
    """Facts for every metrics.json of a run, with the digest of the model."""
    about = {key: getattr(config, key) for key in ("model", "revision", "dtype", "seed")}
    about[MODEL_DIGEST] = model.source.fingerprint.digest
    return about | {"environment": environment(device_mesh(config.mesh.data, config.mesh.model))}


def score_task(
    scorer: Scorer,
    task_questions: TaskQuestions,
    about: Mapping[str, Any],
    score: Scoring | None = None,
) -> TaskResult:
    """Scores a task in all its languages.

    Args:
      scorer: of the model.
      task_questions: the questions.
      about: facts for metrics.json, such as the model.
      score: replaces `scoring.question_scores`: (language, questions, protocol, name) → scores.

    Raises:
      InputError: as `scoring.question_scores`; a score that is no number.
    """
    began = time.perf_counter()
    score = score or (lambda _, *how: question_scores(scorer, *how))
    task, protocol, scored = task_questions.task, task_questions.protocol, {}
    for number, (code, rows) in enumerate(task_questions.languages.items(), start=1):
        name = f"{task.name} {code} {number}/{len(task_questions.languages)}"
        scored[code] = Scored(
            score(code, rows, protocol, name),
            np.array([question.label for question in rows], np.int32),
            np.array([question.row for question in rows], np.int32),
            np.array([question.group for question in rows], np.int32) if task.group else None,
            np.array([row_digest(question, protocol) for question in rows], np.uint64),
        )
    result = TaskResult(
        task=task.name,
        protocol=protocol,
        labels=task.labels,
        data=task_questions.data,
        metrics=task_metrics(scored, parallel=task.parallel),
        about=about,
        seconds=round(time.perf_counter() - began, 3),
        scored=scored,
    )
    scorer.model.source.fingerprint.check_unchanged()
    return result


def measure_perplexity(
    scorer: Scorer, by_language: Mapping[str, str], about: Mapping[str, Any]
) -> PerplexityResult:
    """Perplexity on plain text of each language."""
    began = time.perf_counter()
    figures = {
        code: perplexity(scorer, text, f"{PERPLEXITY} {code}") for code, text in by_language.items()
    }
    seconds = round(time.perf_counter() - began, 3)
    scorer.model.source.fingerprint.check_unchanged()
    return PerplexityResult(languages=figures, about=about, seconds=seconds)
