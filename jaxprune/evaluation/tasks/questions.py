"""Tasks: what is asked of a model, read from TOML, and the questions of a language.

A task file names a data set, how a row's label is found, and how each protocol asks:

    name = "sentiment"
    data = "data/{lang}.jsonl"            # or a folder, a hub data set id
    languages = ["en", "sw"]              # or a table, where the data set has other names for them
    labels = ["negative", "positive"]

    [label]
    field = "stars"
    values = { 1 = "negative", 2 = "negative", 4 = "positive", 5 = "positive" }
    drop = [3]

    [paper]
    template = "{review|words:128} It is {option}"
    options = ["negative", "positive"]

`prompts.py` says what a template may hold, `keys.py` lists all keys, the `.toml` files beside them are the
ready tasks.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxprune.errors import InputError, refusal
from jaxprune.evaluation.tasks.data import Row, Source
from jaxprune.evaluation.tasks.prompts import Option, Prompt
from jaxprune.evaluation.tasks.protocols import PROTOCOLS
from jaxprune.evaluation.tasks.task_file import Prompts, Task, read_task
from jaxprune.schema import check, integer

_READY = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Question:
    """A row of a task.

    Attributes:
      options: one for each label.
      label: index of the right one.
      row: its place in the file or split, from 0.
      group: that of the first row of its group; None where the task names no groups.
    """

    options: tuple[Option, ...]
    label: int
    row: int
    group: int | None = None


@dataclasses.dataclass(frozen=True)
class TaskQuestions:
    """A task, its questions by language under one protocol, and where their rows are from."""

    task: Task
    protocol: str
    data: str
    languages: Mapping[str, Sequence[Question]]

    def of(self, codes: Sequence[str]) -> "TaskQuestions":
        """The questions of some of its languages."""
        chosen = {code: self.languages[code] for code in codes}
        return dataclasses.replace(self, languages=chosen)


def ready_tasks() -> tuple[str, ...]:
    """Names of the tasks that come with the package."""
    return tuple(sorted(path.stem for path in _READY.glob("*.toml")))


def load_task(name_or_path: str) -> Task:
    """A task by the name of a ready one or the path of a .toml file.

    Raises:
      InputError: there is no such task, or its file says something that it may not.
    """
    ready = ready_tasks()
    if name_or_path in ready:
        return read_task(_READY / f"{name_or_path}.toml")
    path = Path(name_or_path).expanduser()
    if path.is_dir() or not path.exists():
        allowed = f"{', '.join(ready)}, or a .toml file"
        raise refusal("task", str(name_or_path), allowed, choices=ready)
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
      protocol: `paper`; `official`, which asks the same of shuffled rows; or `lm_eval`, with the
        prompts and splits of EleutherAI's harness.
      data: in place of the task's data: a folder of `<language>.jsonl` or `.csv`, a pattern of such
        files, or a hub data set id (with a configuration for each language, or `{lang}` in it).
      rows: how many, the first ones; all by default, and 1,000 under `official`.
      seed: of the shuffle under `official`. The authors' is 0: `datasets`' shuffle of the rows
        that are not dropped, which is numpy's `default_rng(seed).permutation`.

    Raises:
      InputError: an unknown protocol or language (lists those there are), a broken row (file and
        line), an empty or unknown label, a field that is missing or empty, no UTF-8, no rows.
      OSError: the hub cannot be reached.
    """
    check("rows", rows, integer(None, 1))
    prompts = task.prompts(protocol)
    prompt = _prompt(task, prompts, protocol, language, data)
    source, name = _source(task, prompts, language, data)
    read = source.read(name)
    asked, groups = _asked(task, prompt, read), _groups(task, read)
    if not asked:
        raise InputError(f"{source.data}: {language} has no rows but those that the task drops")
    if (shuffled := PROTOCOLS[protocol].rows) is not None:
        asked = [asked[i] for i in np.random.default_rng(seed).permutation(len(asked))]
        rows = shuffled if rows is None else rows
    return [
        Question(prompt.render(row), label, row.number, groups.get(row.number))
        for row, label in asked[:rows]
    ]


def languages_of(task: Task, *, protocol: str = "paper", data: str | None = None) -> list[str]:
    """The languages that a task is asked in: all of its own, or those that `data` has files of.

    Raises:
      InputError: an unknown protocol, or none of the task's languages in `data` (lists those there).
    """
    source, _ = _source(task, task.prompts(protocol), task.languages[0], data)
    available = source.languages()
    if data is None or available is None:
        return list(task.languages)
    shared = [code for code in task.languages if code in available]
    if not shared:
        raise InputError(
            f"{data}: no language of {task.name}; there are {' '.join(sorted(available)) or 'none'}"
        )
    return shared


def _prompt(task: Task, prompts: Prompts, protocol: str, language: str, data: str | None) -> Prompt:
    # Other data may have languages that the task's own have not.
    if data is None and language not in task.names:
        raise InputError(
            f"{task.name}: no language {language!r}; there are {' '.join(task.languages)}"
        )
    prompt = prompts.languages.get(language, prompts.default)
    if prompt is None:
        raise InputError(
            f"{task.name}: protocol {protocol} has no prompt for language {language!r}; "
            f"there are {' '.join(prompts.languages)}"
        )
    return prompt


def _source(task: Task, prompts: Prompts, language: str, data: str | None) -> tuple[Source, str]:
    """The place of the rows, and the language's name there."""
    split = prompts.split or task.source.split
    if data is None:
        return dataclasses.replace(task.source, split=split), task.names[language]
    # Branch and files are those of the data set that is replaced; without a place for the language
    # in its name, another one has a configuration for each.
    config = None if "{lang}" in data else task.source.config or "{lang}"
    source = Source(data, config=config, split=split)
    return source, language if source.is_files else task.names.get(language, language)


def _groups(task: Task, rows: list[Row]) -> dict[int, int]:
    """The number of the first row of its group, by that of each row; empty where the task names no groups."""
    if task.group is None:
        return {}
    if isinstance(task.group, int):
        return {row.number: row.number - row.number % task.group for row in rows}
    first: dict[str, int] = {}
    return {row.number: first.setdefault(str(row.value(task.group)), row.number) for row in rows}


def _asked(task: Task, prompt: Prompt, rows: list[Row]) -> list[tuple[Row, int]]:
    """Rows that are asked, with their labels."""
    asked = []
    for row in rows:
        label = task.label.index(row)
        if label is None or (task.drops_empty and any(map(row.is_empty, prompt.fields))):
            continue
        asked.append((row, label))
    return asked
