"""From a config to `<workdir>/<task>`: scores of every language, figures, a table on the terminal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from ml_collections import ConfigDict

from jaxprune.devices import device_mesh, hosts
from jaxprune.errors import InputError
from jaxprune.evaluation.fields import RESIDENT
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.scoring import (
    PERPLEXITY,
    Scored,
    Scorer,
    perplexity,
    question_scores,
    task_metrics,
    texts,
)
from jaxprune.evaluation.tasks import Question, Task, languages_of, load_task, questions
from jaxprune.evaluation.translation import (
    TRANSLATION,
    Sentences,
    evaluate_translation,
    languages,
    read_sentences,
    translation_lines,
)
from jaxprune.files import UNFINISHED, whole_folder, write_json
from jaxprune.hf import Model, load
from jaxprune.runs import environment


@dataclass(frozen=True)
class AskedTask:
    """A task, its questions by language under one protocol, and where their rows are from."""

    task: Task
    protocol: str
    data: str
    languages: Mapping[str, Sequence[Question]]


def evaluate_from_config(config: ConfigDict, workdir: Path) -> dict[str, Any]:
    """Evaluates a model on everything that `config.evaluation` names.

    All rows and texts are read before the model is, so that what is wrong with them is known at once.

    Args:
      config: validated.
      workdir: gets a folder for each task (see `evaluate_task`) and `perplexity/`. What an earlier
        evaluation of the same tasks left goes first, and a folder appears when all of it is there.

    Returns:
      By folder, what its metrics.json holds.

    Raises:
      InputError: anything in config, model or data that does not fit.
    """
    wanted = config.evaluation
    codes = wanted.languages.split(",") if wanted.languages else None
    asked = read_tasks(
        [name.strip() for name in wanted.tasks.split(",") if name.strip()],
        protocol=protocol_of(config),
        languages=codes, data=wanted.data, rows=wanted.rows, seed=config.seed,
    )  # fmt: skip
    plain = texts(wanted.perplexity, codes, wanted.rows) if wanted.perplexity else {}
    sentences = translations(config, codes) if wanted.translation else {}
    folders = [one.task.name for one in asked]
    folders += [name for name, data in ((PERPLEXITY, plain), (TRANSLATION, sentences)) if data]
    if not folders:
        raise InputError(
            "evaluation.tasks: got ''; allowed: tasks, or nothing with evaluation.perplexity or "
            "evaluation.translation"
        )
    model = load(config.model, config.revision)
    scorer = scorer_of(model, config)
    if hosts.is_first():
        clear(workdir, folders)
    about = facts(config)
    # A job that fills a folder of its own is added here, and how it prints in _LINES.
    found = {one.task.name: evaluate_task(scorer, one, workdir, about) for one in asked}
    if plain:
        about["data"] = wanted.perplexity
        found[PERPLEXITY] = evaluate_perplexity(scorer, plain, workdir, about)
    if sentences:
        about["data"] = wanted.translation
        generator = Generator(
            model, dtype=config.dtype, mesh=scorer.mesh, progress=hosts.is_first()
        )
        found[TRANSLATION] = evaluate_translation(
            generator, sentences, workdir, beams=wanted.beams, about=about
        )
    if hosts.is_first():
        print_summary(found, workdir)
    return found


def translations(config: ConfigDict, codes: Sequence[str] | None) -> dict[str, Sentences]:
    """By language what `config.evaluation` has translated, with demonstrations of `config.calibration`."""
    wanted, made = config.evaluation, config.calibration
    if codes is None:
        codes = languages(wanted.translation, made.target)
    return {
        code: read_sentences(
            wanted.translation,
            code,
            made.target,
            shots=made.shots,
            shots_data=made.data,
            rows=wanted.translation_rows,
            seed=config.seed,
        )
        for code in codes
        if code != made.target
    }


def protocol_of(config: ConfigDict) -> str:
    """The protocol that a config asks for, or the one that goes with its `compat`."""
    by_compat = "official" if config.compat == "official" else "paper"
    return config.evaluation.protocol or by_compat


def scorer_of(model: Model, config: ConfigDict) -> Scorer:
    """The model ready to be scored as a config says."""
    mesh, resident = device_mesh(**config.mesh), RESIDENT[config.evaluation.weights]
    return Scorer(
        model, dtype=config.dtype, mesh=mesh, resident=resident, progress=hosts.is_first()
    )


def facts(config: ConfigDict) -> dict[str, Any]:
    """What every metrics.json tells of its run."""
    about = {key: config[key] for key in ("model", "revision", "dtype", "seed")}
    return about | {"environment": environment(device_mesh(**config.mesh))}


def read_tasks(
    names: Sequence[str],
    *,
    protocol: str = "paper",
    languages: Sequence[str] | None = None,
    data: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> list[AskedTask]:
    """The questions of several tasks.

    Args:
      names: of ready tasks, or .toml files.
      languages: those that there are by default; see `tasks.languages_of`.
      protocol, data, rows, seed: see `tasks.questions`.

    Raises:
      InputError: as `tasks.load_task` and `tasks.questions`, or two tasks of one name.
    """
    tasks = [load_task(name) for name in names]
    taken = [PERPLEXITY, TRANSLATION, *(task.name for task in tasks)]
    for place, name in enumerate(taken):
        if name in taken[:place]:
            raise InputError(f"evaluation.tasks: {name!r} is there twice; allowed: each name once")
    asked = []
    for task in tasks:
        codes = languages or languages_of(task, protocol=protocol, data=data)
        how = {"protocol": protocol, "data": data, "rows": rows, "seed": seed}
        by_language = {code: questions(task, code, **how) for code in codes}  # type: ignore[arg-type]
        asked.append(AskedTask(task, protocol, data or task.source.data, by_language))
    return asked


def evaluate_task(
    scorer: Scorer,
    asked: AskedTask,
    workdir: Path,
    about: Mapping[str, Any],
    score: Callable[..., Float[np.ndarray, "R C"]] | None = None,
) -> dict[str, Any]:
    """Scores a task in all its languages.

    Args:
      workdir: gets `<task>/<language>.npz` with `scores` [rows, options] float32, `labels` [rows] int32 and
        `rows` [rows] int32 (the place of each in its source), and `<task>/metrics.json`.
      about: what else metrics.json tells, such as the model.
      score: in place of `protocols.question_scores`: (language, questions, protocol, name) → scores.

    Returns:
      What metrics.json holds.

    Raises:
      InputError: as `protocols.question_scores`, or scores that are not numbers.
    """
    began = time.perf_counter()
    task, scored = asked.task, {}
    for number, (code, rows) in enumerate(asked.languages.items(), start=1):
        name = f"{task.name} {code} {number}/{len(asked.languages)}"
        scored[code] = Scored(
            score(code, rows, asked.protocol, name)
            if score
            else question_scores(scorer, rows, asked.protocol, name),
            np.array([question.label for question in rows], np.int32),
            np.array([question.row for question in rows], np.int32),
        )
    metrics = {
        "task": task.name,
        "protocol": asked.protocol,
        "labels": None if task.labels is None else list(task.labels),
        "data": asked.data,
        **task_metrics(scored, task.parallel),
        **about,
        "seconds": round(time.perf_counter() - began, 3),
    }
    _write(workdir, task.name, metrics, scored)
    return metrics


def evaluate_perplexity(
    scorer: Scorer, by_language: Mapping[str, str], workdir: Path, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Perplexity on plain text of each language, which goes to `<workdir>/perplexity/metrics.json`.

    Returns:
      What metrics.json holds: by language the fields of `perplexity.Perplexity`, and `about`.
    """
    began = time.perf_counter()
    languages = {
        code: perplexity(scorer, text, f"{PERPLEXITY} {code}")._asdict()
        for code, text in by_language.items()
    }
    seconds = round(time.perf_counter() - began, 3)
    metrics = {"languages": languages, **about, "seconds": seconds}
    _write(workdir, PERPLEXITY, metrics, {})
    return metrics


# The workdir.


def clear(workdir: Path, names: Sequence[str]) -> None:
    """Takes away what an earlier evaluation of these tasks left, which would pass for this one's."""
    for name in names:
        folder = workdir / name
        others = [file for file in folder.glob("*") if not _ours(file)]
        if others or folder.is_file():
            raise InputError(
                f"--workdir: {others[0] if others else folder} is there, and the folder {folder} is "
                "replaced; allowed: another --workdir, or another name for the task"
            )
    for name in names:
        shutil.rmtree(workdir / name, ignore_errors=True)
    shutil.rmtree(workdir / UNFINISHED, ignore_errors=True)
    workdir.mkdir(parents=True, exist_ok=True)


def _ours(file: Path) -> bool:
    return file.is_file() and (file.suffix in (".npz", ".jsonl") or file.name == "metrics.json")


def _write(
    workdir: Path, name: str, metrics: Mapping[str, Any], scored: Mapping[str, Scored]
) -> None:
    if not hosts.is_first():
        return
    with whole_folder(workdir / name) as folder:
        for code, arrays in scored.items():
            np.savez(folder / f"{code}.npz", **arrays._asdict())
        write_json(folder / "metrics.json", metrics)


# The table.


def print_summary(found: Mapping[str, Mapping[str, Any]], workdir: Path) -> None:
    """The tables at the end of an evaluation."""
    for name, metrics in found.items():
        print()
        for line in _LINES.get(name, _task_lines)(metrics):
            print(f"  {line}")
    print(f"\n  written: {', '.join(str(workdir / name) for name in found)}")


def _task_lines(metrics: Mapping[str, Any]) -> list[str]:
    worst, gaps = metrics["worst"], metrics["gap_to_english"]
    lines = [
        f"{metrics['task']}, protocol {metrics['protocol']}, {metrics['seconds']:.1f} seconds",
        f"{'':<9}{'rows':>6}{'accuracy %':>12}   {'95% interval':<14}{'behind en':>10}{'RankC':>8}",
    ]
    for code, figure in metrics["languages"].items():
        low, high = (100 * bound for bound in figure["interval"])
        behind = f"{100 * gaps[code]:.1f}" if code in gaps else "-"
        rankc = f"{figure['rankc']['corrected']:.3f}" if "rankc" in figure else "-"
        lines.append(
            f"{code:<9}{figure['rows']:>6}{100 * figure['accuracy']:>12.1f}   "
            f"{f'{low:.1f} to {high:.1f}':<14}{behind:>10}{rankc:>8}"
        )
    means = f"mean {100 * metrics['mean']:.1f}"
    if metrics["mean_non_english"] is not None:
        means += f", without English {100 * metrics['mean_non_english']:.1f}"
    lines.append(f"{means}; worst language {worst['language']}, {100 * worst['accuracy']:.1f}")
    return lines


def _perplexity_lines(metrics: Mapping[str, Any]) -> list[str]:
    lines = [
        f"perplexity, {metrics['seconds']:.1f} seconds",
        f"{'':<9}{'tokens':>8}{'perplexity':>12}",
    ]
    return lines + [
        f"{code:<9}{figure['tokens']:>8}{figure['perplexity']:>12.2f}"
        for code, figure in metrics["languages"].items()
    ]


_LINES = {PERPLEXITY: _perplexity_lines, TRANSLATION: translation_lines}
