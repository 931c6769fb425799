"""From a config to `<workdir>/<task>`: scores of every language, figures, a table on the terminal."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxprune.devices import device_mesh, hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.config import RESIDENT, EvaluateConfig
from jaxprune.evaluation.continuations import continue_lines
from jaxprune.evaluation.folders import TAKEN, clear_folders, write_folder
from jaxprune.evaluation.generation import Generator, check_beams
from jaxprune.evaluation.identity import IDENTITY, Identity, Workload, identities, row_digest
from jaxprune.evaluation.overlap import calibration_overlap
from jaxprune.evaluation.results import PerplexityResult, TaskResult
from jaxprune.evaluation.scoring import (
    PERPLEXITY,
    PlainText,
    Scored,
    Scorer,
    perplexity,
    question_scores,
    task_metrics,
    texts,
)
from jaxprune.evaluation.summary import Result, print_summary
from jaxprune.evaluation.tasks import Question, TaskQuestions, languages_of, load_task, questions
from jaxprune.evaluation.translation import (
    NEW_TOKENS,
    TRANSLATION,
    Sentences,
    evaluate_translation,
    import_sacrebleu,
    languages,
    read_sentences,
)
from jaxprune.hf import Model, load
from jaxprune.ledger import MODEL_DIGEST
from jaxprune.runs import environment

Scoring = Callable[[str, Sequence[Question], str, str], Float[np.ndarray, "R C"]]


def evaluate_from_config(
    config: EvaluateConfig, workdir: Path, *, overwrite: bool = False
) -> dict[str, Result]:
    """Evaluates a model on everything that `config.evaluation` names.

    All rows and texts are read before the model is, so that what is wrong with them is known at once.

    Args:
      config: validated.
      workdir: gets a folder for each task (see `evaluate_all`), `perplexity/` and `translation/`. One appears when
        all of it is there; the same evaluation is made again.
      overwrite: replace the scores of another model, or of other questions or settings.

    Returns:
      The results by folder.

    Raises:
      InputError: anything in config, model or data that does not fit, or another evaluation's scores in a folder.
    """
    fields = config.evaluation
    codes = fields.languages.split(",") if fields.languages else None
    tasks = read_tasks(
        named_tasks(config),
        protocol=protocol_of(config),
        languages=codes, data=fields.data, rows=fields.rows, seed=config.seed,
    )  # fmt: skip
    workload = Workload(tasks, plain_texts(config, codes), translations(config, codes))
    if not (workload.tasks or workload.texts or workload.sentences):
        raise InputError(
            "evaluation.tasks: got ''; allowed: tasks, or nothing with evaluation.perplexity or "
            "evaluation.translation"
        )
    model = load(config.model, config.revision)
    check_beams(model.config, fields.beams)
    scorer = scorer_of(model, config)
    asked = identities(workload, model, config.dtype, fields.beams)
    if hosts.is_first():
        clear_folders(workdir, asked, model, overwrite)
    beginnings = {code: text.lines for code, text in workload.texts.items()}
    about = facts(config, model)
    results = evaluate_all(scorer, workload, config, workdir, about, asked, beginnings=beginnings)
    if hosts.is_first():
        print_summary(results, workdir)
    return results


def evaluate_all(
    scorer: Scorer,
    workload: Workload,
    config: EvaluateConfig,
    workdir: Path,
    about: Mapping[str, Any],
    asked: Mapping[str, Identity] | None = None,
    *,
    score: Scoring | None = None,
    new_tokens: int = NEW_TOKENS,
    beginnings: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Result]:
    """Evaluates a model and writes a folder for each task, for perplexity and for translation.

    Args:
      scorer: of the model.
      workload: tasks, texts and sentences.
      config: says how sentences are translated, and where texts and sentences are from.
      workdir: gets `<task>/<language>.npz` with the arrays of `Scored`, and `<task>/metrics.json`.
      about: facts for every metrics.json, such as the model.
      asked: identities for the metrics.json of all folders; made here by default.
      score: see `score_task`.
      new_tokens: of a translation at most.
      beginnings: lines by language, the first of which the model continues if its weights stay on the devices.

    Returns:
      The results by folder.
    """
    fields = config.evaluation
    known = asked or identities(workload, scorer.model, config.dtype, fields.beams)

    def about_folder(name: str, data: Mapping[str, str | None]) -> dict[str, Any]:
        return {**about, **data, IDENTITY: known[name]}

    results: dict[str, Result] = {}
    for one in workload.tasks:
        found = score_task(scorer, one, about_folder(one.task.name, {}), score)
        write_folder(workdir, found.task, found.json(), found.scored)
        results[found.task] = found
    if workload.texts:
        about_text = about_folder(PERPLEXITY, {"data": fields.perplexity})
        about_text |= calibration_overlap(scorer.model, workload.texts, workdir)
        measured = measure_perplexity(scorer, workload.texts, about_text)
        if beginnings:
            continued = continue_lines(scorer, beginnings)
            measured = dataclasses.replace(measured, continuations=continued)
        write_folder(workdir, PERPLEXITY, measured.json(), {})
        results[PERPLEXITY] = measured
    if workload.sentences:
        results[TRANSLATION] = evaluate_translation(
            Generator(scorer.model, dtype=config.dtype, mesh=scorer.mesh, progress=scorer.progress),
            workload.sentences,
            workdir,
            about_folder(TRANSLATION, {"data": fields.translation}),
            beams=fields.beams,
            max_new_tokens=new_tokens,
        )
    return results


def plain_texts(config: EvaluateConfig, codes: list[str] | None) -> Mapping[str, PlainText]:
    """The text by language whose perplexity `config.evaluation` has measured; empty where it has none."""
    fields = config.evaluation
    if fields.perplexity is None:
        return {}
    return texts(fields.perplexity, codes, fields.rows, fields.perplexity_lines)


def named_tasks(config: EvaluateConfig) -> list[str]:
    """The names in `evaluation.tasks`: of ready tasks, or .toml files."""
    names = config.evaluation.tasks.split(",")
    return [name.strip() for name in names if name.strip()]


def translations(config: EvaluateConfig, codes: Sequence[str] | None) -> dict[str, Sentences]:
    """The sentences by language that `config.evaluation` has translated; empty where it has none."""
    fields, calibration = config.evaluation, config.calibration
    if fields.translation is None:
        return {}
    import_sacrebleu("metrics")  # which is missed at once then, not after hours of work
    if codes is None:
        codes = languages(fields.translation, calibration.target)
    return {
        code: read_sentences(
            fields.translation,
            code,
            calibration.target,
            shots=calibration.shots,
            shots_data=calibration.data,
            shots_lines=calibration.lines,
            rows=fields.translation_rows,
            seed=config.seed,
        )
        for code in codes
        if code != calibration.target
    }


def protocol_of(config: EvaluateConfig) -> str:
    """The protocol that a config asks for, or the one that goes with its `compat`."""
    by_compat = "official" if config.compat == "official" else "paper"
    return config.evaluation.protocol or by_compat


def scorer_of(model: Model, config: EvaluateConfig) -> Scorer:
    """The model ready to be scored as a config says."""
    mesh = device_mesh(config.mesh.data, config.mesh.model)
    resident = RESIDENT[config.evaluation.weights]
    return Scorer(
        model, dtype=config.dtype, mesh=mesh, resident=resident, progress=hosts.is_first()
    )


def facts(config: EvaluateConfig, model: Model) -> dict[str, Any]:
    """Facts for every metrics.json of a run, with a digest of the model that is scored."""
    about = {key: getattr(config, key) for key in ("model", "revision", "dtype", "seed")}
    about[MODEL_DIGEST] = model.source.fingerprint.digest
    return about | {"environment": environment(device_mesh(config.mesh.data, config.mesh.model))}


def read_tasks(
    names: Sequence[str],
    *,
    protocol: str = "paper",
    languages: Sequence[str] | None = None,
    data: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> list[TaskQuestions]:
    """The questions of several tasks.

    Args:
      names: of ready tasks, or .toml files.
      languages: those that there are by default; see `tasks.languages_of`.
      protocol, data, rows, seed: see `tasks.questions`.

    Raises:
      InputError: as `tasks.load_task` and `tasks.questions`, two tasks of one name, or one of a name in `TAKEN`.
    """
    tasks = [load_task(name) for name in names]
    for task in tasks:
        if task.name in TAKEN:
            raise InputError(
                f"evaluation.tasks: name = {task.name!r} in a task; allowed: none of {', '.join(TAKEN)}, which a "
                "workdir has for other things"
            )
    names_taken = Counter([PERPLEXITY, TRANSLATION, *(task.name for task in tasks)])
    name, count = names_taken.most_common(1)[0]
    if count > 1:
        raise InputError(f"evaluation.tasks: {name!r} is there twice; allowed: each name once")
    read = []
    for task in tasks:
        codes = languages or languages_of(task, protocol=protocol, data=data)
        by_language = {
            code: questions(task, code, protocol=protocol, data=data, rows=rows, seed=seed)
            for code in codes
        }
        read.append(TaskQuestions(task, protocol, data or task.source.data, by_language))
    return read


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
      score: in place of `scoring.question_scores`: (language, questions, protocol, name) → scores.

    Raises:
      InputError: as `scoring.question_scores`, or scores that are not numbers.
    """
    began = time.perf_counter()
    task, protocol, scored = task_questions.task, task_questions.protocol, {}
    for number, (code, rows) in enumerate(task_questions.languages.items(), start=1):
        name = f"{task.name} {code} {number}/{len(task_questions.languages)}"
        scored[code] = Scored(
            score(code, rows, protocol, name)
            if score
            else question_scores(scorer, rows, protocol, name),
            np.array([question.label for question in rows], np.int32),
            np.array([question.row for question in rows], np.int32),
            None
            if task.group is None
            else np.array([question.group for question in rows], np.int32),
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
