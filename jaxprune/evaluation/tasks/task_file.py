"""A task as a record, and its TOML file."""

import dataclasses
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, refusal, shown
from jaxprune.base.files import read_text
from jaxprune.evaluation.tasks.data import Row, Source
from jaxprune.evaluation.tasks.keys import (
    LABEL_KEYS,
    PROMPT_KEYS,
    SECTION_KEYS,
    TASK_KEYS,
    check_table,
)
from jaxprune.evaluation.tasks.prompts import OPTION, Prompt, parse, slots
from jaxprune.evaluation.tasks.protocols import PROTOCOLS, SECTIONS


@dataclasses.dataclass(frozen=True)
class LabelRule:
    """The rule for the label of a row.

    Attributes:
      field: of the row.
      indices: value of the field, as text → index of the option.
      dropped: values of the field in rows that are skipped.
    """

    field: str
    indices: Mapping[str, int]
    dropped: frozenset[str]

    def index(self, row: Row) -> int | None:
        """The index of the right option; None if the row is skipped.

        Raises:
          InputError: no label, or an unknown one.
        """
        value, is_empty = row.value(self.field), row.is_empty(self.field)
        said = value.strip() if isinstance(value, str) else shown(value)
        if said in self.dropped and not is_empty:
            return None
        if said not in self.indices or is_empty:
            found = "empty" if is_empty else shown(value)
            allowed = ", ".join([*self.indices, *sorted(self.dropped)])
            raise InputError(f"{row.where}: label {self.field} is {found}; allowed: {allowed}")
        return self.indices[said]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """One section of a task file: its split if it has its own, and its prompts by language, under None for others."""

    split: str | None
    languages: Mapping[str | None, Prompt]


@dataclasses.dataclass(frozen=True)
class Task:
    """A task for a model.

    Attributes:
      name: of the task and of the folder of its scores.
      source: location of the rows.
      names: language → its name in the data set.
      parallel: whether row i is the same question in every language.
      group: the field that is equal within a group of rows, as the premise in XNLI, or the number of successive rows
        in a group; None: no groups.
      labels: names of the options, if they are equal in every row.
      label: the rule for the label of a row.
      drops_empty: whether rows with an empty text are skipped; otherwise they are errors.
      sections: by the name of their table in the file.
    """

    name: str
    source: Source
    names: Mapping[str, str]
    parallel: bool
    group: str | int | None
    labels: tuple[str, ...] | None
    label: LabelRule
    drops_empty: bool
    sections: Mapping[str, Prompts]

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages, in the order of the file."""
        return tuple(self.names)

    def prompts(self, protocol: str) -> Prompts:
        """The prompts of a protocol; InputError if the task has none."""
        names = [name for name, one in PROTOCOLS.items() if one.section in self.sections]
        if protocol not in names:
            raise refusal("protocol", protocol, f"{', '.join(names)} (those of task {self.name})")
        return self.sections[PROTOCOLS[protocol].section]


def read_task(path: Path) -> Task:
    """The task of a TOML file.

    Raises:
      InputError: not TOML, or a key that is unknown, missing or has an invalid value; one line with the
        file, the key and the allowed values.
    """
    content = read_text(path)
    try:
        table = tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # TOML, numbers of 5,000 digits
        raise InputError(f"{path}: not TOML: {error}") from None
    check_table(f"{path}: ", table, TASK_KEYS)
    languages = table["languages"]
    names = languages if isinstance(languages, dict) else {code: code for code in languages}
    labels = tuple(table["labels"]) if "labels" in table else None
    sections = {
        name: _prompts(path, name, table[name], tuple(names)) for name in SECTIONS if name in table
    }
    if not sections:
        raise InputError(f"{path}: paper: missing; allowed: {' or '.join(SECTIONS)}, or both")
    options = _number_of_options(path, sections, labels)
    return Task(
        name=table["name"],
        source=_source(path, table, names),
        names=names,
        parallel=table.get("parallel", False),
        group=table.get("group"),
        labels=labels,
        label=_label_rule(path, table["label"], labels or range(options)),
        drops_empty=table.get("empty") == "drop",
        sections=sections,
    )


def _source(path: Path, table: Mapping[str, Any], names: Mapping[str, str]) -> Source:
    source = Source(
        data=table["data"],
        **{key: table.get(key) for key in ("config", "split", "revision", "files")},
    )
    places = [text for text in (source.data, source.config, source.files) if text is not None]
    for text in places:
        unknown = set(re.findall(r"\{(.*?)\}", text)) - {"lang", "split"}
        if unknown:
            raise InputError(f"{path}: {text!r}: {{{unknown.pop()}}}; allowed: {{lang}}, {{split}}")
    # A path is one from the task file. A hub id may look like one, so a folder has to be there.
    beside = path.parent / Path(source.data).expanduser()
    if source.is_pattern or beside.is_dir():
        source = dataclasses.replace(source, data=str(beside))
    if len(names) > 1 and not source.by_language:
        raise InputError(
            f"{path}: data: got {source.data!r}, one set for {len(names)} languages; "
            "allowed: {lang} in data, config or files"
        )
    return source


def _label_rule(path: Path, table: Mapping[str, Any], labels: Sequence[str | int]) -> LabelRule:
    check_table(f"{path}: label.", table, LABEL_KEYS)
    dropped = frozenset(map(str, table.get("drop", [])))
    if "values" not in table:
        by_number = {str(index): index for index in range(len(labels))}
        by_label = {str(label): index for index, label in enumerate(labels)}
        # a label that is a number would be mistaken for the number of another one
        indices = by_label if by_number.keys() & by_label.keys() else by_number | by_label
        return LabelRule(table["field"], indices, dropped)
    indices = {}
    for value, label in table["values"].items():
        known = type(label) in (str, int) and label in labels  # True equals 1
        if not known or value in dropped:
            allowed = f"{', '.join(map(str, labels))}, for values that are not in label.drop"
            raise refusal(f"{path}: label.values.{value}", label, allowed)
        indices[value] = labels.index(label)
    return LabelRule(table["field"], indices, dropped)


def _number_of_options(
    path: Path, sections: Mapping[str, Prompts], labels: tuple[str, ...] | None
) -> int:
    sizes = {
        f"{name}.languages.{language}" if language else name: len(prompt.options)
        for name, section in sections.items()
        for language, prompt in section.languages.items()
    }
    expected = len(labels) if labels else next(iter(sizes.values()))  # a section has a prompt
    for place, size in sizes.items():
        if size != expected:
            raise InputError(
                f"{path}: {place}.options: got {size}; allowed: {expected}, as many as there are labels"
            )
    return expected


def _prompts(path: Path, name: str, table: Mapping[str, Any], languages: Sequence[str]) -> Prompts:
    check_table(f"{path}: {name}.", table, SECTION_KEYS)
    by_language = table.get("languages", {})
    for language, entry in by_language.items():
        if language not in languages:
            raise InputError(
                f"{path}: {name}.languages.{language}: no language of this task; allowed: {', '.join(languages)}"
            )
        check_table(f"{path}: {name}.languages.{language}.", entry, PROMPT_KEYS)
    if name == "paper" and any("context" in entry for entry in (table, *by_language.values())):
        raise InputError(f"{path}: paper.context: paper scores all of the text; allowed: template")
    base = {key: table[key] for key in PROMPT_KEYS if key in table}
    words = {word for entry in (base, *by_language.values()) for word in entry.get("words", {})}
    prompts: dict[str | None, Prompt] = {}
    complete = {"template", "options"} <= set(base) and words <= set(base.get("words", {}))
    if complete or not by_language:
        prompts[None] = _prompt(path, name, base, words)
    for language, entry in by_language.items():
        said = {**base.get("words", {}), **entry.get("words", {})}
        merged = {**base, **entry, "words": said}
        prompts[language] = _prompt(path, f"{name}.languages.{language}", merged, words)
    return Prompts(table.get("split"), prompts)


def _prompt(path: Path, where: str, table: Mapping[str, Any], words: set[str]) -> Prompt:
    for key in ("template", "options"):
        if key not in table:
            raise InputError(f"{path}: {where}.{key}: missing; allowed: {PROMPT_KEYS[key].allowed}")
    said = table.get("words", {})
    for word in sorted(words):
        if word not in said:
            raise InputError(
                f"{path}: {where}.words.{word}: missing; allowed: {PROMPT_KEYS['words'].allowed}"
            )
    prompt = Prompt(
        context=parse(table.get("context", ""), f"{path}: {where}.context"),
        template=parse(table["template"], f"{path}: {where}.template"),
        options=tuple(parse(o, f"{path}: {where}.options") for o in table["options"]),
        words=said,
    )
    _check_slots(f"{path}: {where}", prompt)
    return prompt


def _check_slots(where: str, prompt: Prompt) -> None:
    if all(slot.name != OPTION for slot in slots(prompt.context, prompt.template)):
        raise InputError(f"{where}.template: no {{option}}; allowed: {{option}} at its place")
    for slot in prompt.slots:
        word = prompt.words.get(slot.name)
        if slot.key is None and isinstance(word, dict):
            raise InputError(f"{where}: {{{slot.name}}}; allowed: {{{slot.name}[field]}}")
        if slot.key is not None and not isinstance(word, dict):
            raise InputError(
                f"{where}: {{{slot.name}[{slot.key}]}}; allowed: a word with a text for each value"
            )
    if any(slot.name == OPTION for slot in slots(*prompt.options)):
        raise InputError(f"{where}.options: {{option}} in an option; allowed: fields and words")
