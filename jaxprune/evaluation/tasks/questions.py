"""Tasks in TOML files, and the questions of a language.

A task file defines a data set, the label of a row, and the prompts of each protocol:

    name = "sentiment"
    data = "data/{lang}.jsonl"            # or a folder, a hub data set id
    languages = ["en", "sw"]              # or a table, if the data set has other names for them
    labels = ["negative", "positive"]

    [label]
    field = "stars"
    values = { 1 = "negative", 2 = "negative", 4 = "positive", 5 = "positive" }
    drop = [3]

    [paper]
    template = "{review|words:128} It is {option}"
    options = ["negative", "positive"]

`prompts.py` describes templates, `keys.py` lists all keys, and the `.toml` files of this folder are the ready
tasks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.evaluation.tasks.data import Row, Source
from jaxprune.evaluation.tasks.prompts import Option, Prompt
from jaxprune.evaluation.tasks.protocols import PROTOCOLS
from jaxprune.evaluation.tasks.task_file import Prompts, Task, read_task

_READY = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Question:
    """A row of a task.

    Attributes:
      options: one per label.
      label: index of the right option.
      row: index in the file or split, from 0.
      group: index of the first row of its group; None if the task has no groups.
    """

    options: tuple[Option, ...]
    label: int
    row: int
    group: int | None = None


@dataclasses.dataclass(frozen=True)
class TaskQuestions:
    """A task, its questions by language under one protocol, and the location of their rows."""

    task: Task
    protocol: str
    data: str
    languages: Mapping[str, Sequence[Question]]

    def of(self, codes: Sequence[str]) -> "TaskQuestions":
        """The questions of some of the languages."""
        chosen = {code: self.languages[code] for code in codes}
        return dataclasses.replace(self, languages=chosen)


def ready_tasks() -> tuple[str, ...]:
    """Names of the tasks in the package."""
    return tuple(sorted(path.stem for path in _READY.glob("*.toml")))


def load_task(name_or_path: str) -> Task:
    """A task by the name of a ready one or the path of a .toml file.

    Raises:
      InputError: no such task, or its file is invalid.
    """
    ready = ready_tasks()
    is_ready = name_or_path in ready
    path = _READY / f"{name_or_path}.toml" if is_ready else Path(name_or_path).expanduser()
    if path.is_dir() or not path.exists():
        allowed = f"{', '.join(ready)}, or a .toml file"
        raise invalid_value("task", str(name_or_path), allowed, choices=ready)
    return read_task(path)


def questions(
    task: Task,
    language: str,
    *,
    protocol: str = "paper",
    data: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> list[Question]:
    """The questions of one language.

    Args:
      task: see `load_task`. Another split: `dataclasses.replace` its source.
      language: ISO 639-1.
      protocol: `paper`; `official`, with the same prompts and shuffled rows; or `lm_eval`, with the
        prompts and splits of EleutherAI's harness.
      data: replaces the task's data: a folder of `<language>.jsonl` or `.csv`, a pattern of such
        files, or a hub data set id (with a configuration per language, or with `{lang}`).
      rows: number of rows, from the first; by default all, or 1,000 for `official`.
      seed: seed of the shuffle of `official`. The authors' is 0: the shuffle of `datasets` over the rows
        that are not dropped, which is numpy's `default_rng(seed).permutation`.

    Raises:
      InputError: an unknown protocol or language (lists those available), an invalid row (file and
        line), an empty or unknown label, a missing or empty field, not UTF-8, no rows.
      OSError: the hub cannot be reached.
    """
    prompts = task.prompts(protocol)
    prompt = _prompt(task, prompts, protocol, language, data)
    source, name = _source(task, prompts, language, data)
    read = source.read(name)
    labelled, groups = _labelled(task, prompt, read), _groups(task, read)
    if not labelled:
        raise InputError(f"{source.data}: {language} has only rows that the task drops")
    if (shuffled := PROTOCOLS[protocol].rows) is not None:
        labelled = [labelled[i] for i in np.random.default_rng(seed).permutation(len(labelled))]
        rows = shuffled if rows is None else rows
    return [
        Question(prompt.render(row), label, row.number, groups.get(row.number))
        for row, label in labelled[:rows]
    ]


def languages_of(task: Task, *, protocol: str = "paper", data: str | None = None) -> list[str]:
    """The languages in which a task is evaluated: all of the task, or those with files in `data`.

    Raises:
      InputError: an unknown protocol, or none of the task's languages in `data` (lists those available).
    """
    source, _ = _source(task, task.prompts(protocol), task.languages[0], data)
    available = source.languages()
    if data is None or available is None or not source.by_language:
        return list(task.languages)
    shared = [code for code in task.languages if code in available]
    if not shared:
        raise source.missing(f"language of {task.name}")
    return shared


def check_by_language(task: Task, languages: Sequence[str], *, protocol: str, data: str) -> None:
    """Rejects `data` with one set of rows for several languages."""
    source, _ = _source(task, task.prompts(protocol), languages[0], data)
    if len(languages) > 1 and not source.by_language:
        raise InputError(
            f"evaluation.data: got {data!r}, one set for {len(languages)} languages of {task.name}; expected {{lang}} "
            "in it, or one language in evaluation.languages"
        )


def _prompt(task: Task, prompts: Prompts, protocol: str, language: str, data: str | None) -> Prompt:
    # Other data may have languages that the task's data does not have.
    if data is None and language not in task.names:
        raise InputError(
            f"{task.name}: no language {language!r}; there are {' '.join(task.languages)}"
        )
    prompt = prompts.languages.get(language, prompts.languages.get(None))
    if prompt is None:
        raise InputError(
            f"{task.name}: protocol {protocol} has no prompt for language {language!r}; "
            f"there are {' '.join(filter(None, prompts.languages))}"
        )
    return prompt


def _source(task: Task, prompts: Prompts, language: str, data: str | None) -> tuple[Source, str]:
    """The location of the rows, and the name of the language there."""
    split = prompts.split or task.source.split
    if data is None:
        return dataclasses.replace(task.source, split=split), task.names[language]
    # Revision and files belong to the replaced data set. A data set without {lang} in its name has a configuration
    # per language.
    config = None if "{lang}" in data else task.source.config or "{lang}"
    source = Source(data, config=config, split=split)
    return source, language if source.is_files else task.names.get(language, language)


def _groups(task: Task, rows: list[Row]) -> dict[int, int]:
    """Row → the first row of its group, as indices; empty if the task has no groups."""
    if task.group is None:
        return {}
    first: dict[str, int] = {}
    return {row.number: first.setdefault(str(row.value(task.group)), row.number) for row in rows}


def _labelled(task: Task, prompt: Prompt, rows: list[Row]) -> list[tuple[Row, int]]:
    """The rows that the task does not drop, with their labels."""
    labels = ((row, task.label.index(row)) for row in rows)
    return [
        (row, label)
        for row, label in labels
        if label is not None and not (task.drops_empty and any(map(row.is_empty, prompt.fields)))
    ]
