"""A task as a record, and its TOML file."""

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from jaxprune.base.errors import InputError, invalid_value, shown
from jaxprune.base.files.outside import read_text
from jaxprune.evaluation.tasks.data import Row, Source
from jaxprune.evaluation.tasks.keys import LabelTable, PromptTable, SectionTable, TaskTable
from jaxprune.evaluation.tasks.prompts import OPTION, Prompt, parse, slots
from jaxprune.evaluation.tasks.protocols import PROTOCOLS, SECTIONS


@dataclasses.dataclass(frozen=True)
class LabelRule:
    """The rule for the label of a row.

    Attributes:
      field: field of the row with the label.
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
        text = value.strip() if isinstance(value, str) else shown(value)
        if text in self.dropped and not is_empty:
            return None
        if text not in self.indices or is_empty:
            got = "empty" if is_empty else shown(value)
            allowed = ", ".join([*self.indices, *sorted(self.dropped)])
            raise InputError(f"{row.where}: {self.field} is {got}; expected {allowed}")
        return self.indices[text]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """One section of a task file: its split if it has its own, and its prompts by language, under None for others."""

    split: str | None
    languages: Mapping[str | None, Prompt]


@dataclasses.dataclass(frozen=True)
class Task:
    """A task for a model.

    Attributes:
      name: name of the task and of the folder of its scores.
      source: location of the rows.
      names: language → its name in the data set.
      parallel: whether row i is the same question in every language.
      group: the field that is equal within a group of rows, as the premise in XNLI; None: no groups.
      labels: names of the options, if they are equal in every row.
      label: the rule for the label of a row.
      drops_empty: whether rows with an empty text are skipped; otherwise they are errors.
      sections: sections by the name of their table in the file.
    """

    name: str
    source: Source
    names: Mapping[str, str]
    parallel: bool
    group: str | None
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
        names = [name for name, p in PROTOCOLS.items() if p.section in self.sections]
        if protocol not in names:
            raise invalid_value(
                "protocol", protocol, f"{', '.join(names)} (those of task {self.name})"
            )
        return self.sections[PROTOCOLS[protocol].section]


def read_task(path: Path) -> Task:
    """The task of a TOML file.

    Raises:
      InputError: not TOML, or a key that is unknown, missing or has an invalid value; one line with the file, the key
        and the allowed values.
    """
    content = read_text(path)
    try:
        table = msgspec.convert(tomllib.loads(content), TaskTable)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from None
    except ValueError as error:  # of msgspec; or a number of 5,000 digits
        raise InputError(f"{path}: {error}") from None
    names = table.languages
    if isinstance(names, list):
        names = {code: code for code in names}
    _check_distinct(f"{path}: labels", table.labels or ())
    tables = {name: getattr(table, name) for name in SECTIONS}
    sections = {
        name: _prompts(path, name, section, tuple(names))
        for name, section in tables.items()
        if section is not None
    }
    if not sections:
        raise InputError(f"{path}: paper: missing; expected {' or '.join(SECTIONS)}, or both")
    labels = tuple(table.labels) if table.labels else None
    options = _number_of_options(path, sections, labels)
    return Task(
        name=table.name,
        source=_source(path, table, names),
        names=names,
        parallel=table.parallel,
        group=table.group,
        labels=labels,
        label=_label_rule(path, table.label, labels or range(options)),
        drops_empty=table.empty == "drop",
        sections=sections,
    )


def _check_distinct(where: str, texts: Sequence[str]) -> None:
    if len({*texts}) < len(texts):
        raise InputError(f"{where}: got {list(texts)}; expected no two the same")


def _source(path: Path, table: TaskTable, names: Mapping[str, str]) -> Source:
    source = Source(table.data, table.config, table.split, table.revision, table.files)
    # A path is one from the task file. A hub id may look like one, so a folder has to be there.
    beside = path.parent / Path(source.data).expanduser()
    if source.is_pattern or beside.is_dir():
        source = dataclasses.replace(source, data=str(beside))
    if len(names) > 1 and not source.by_language:
        raise InputError(
            f"{path}: data: got {source.data!r}, one set for {len(names)} languages; "
            "expected {lang} in data, config or files"
        )
    return source


def _label_rule(path: Path, table: LabelTable, labels: Sequence[str | int]) -> LabelRule:
    dropped = frozenset(map(str, table.drop))
    if table.values is None:
        by_number = {str(index): index for index in range(len(labels))}
        by_label = {str(label): index for index, label in enumerate(labels)}
        # a label that is a number would be mistaken for the number of another one
        indices = by_label if by_number.keys() & by_label.keys() else by_number | by_label
        return LabelRule(table.field, indices, dropped)
    for value, label in table.values.items():
        if label not in labels or value in dropped:
            allowed = f"{', '.join(map(str, labels))}, for values that are not in label.drop"
            raise invalid_value(f"{path}: label.values.{value}", label, allowed)
    indices = {value: labels.index(label) for value, label in table.values.items()}
    return LabelRule(table.field, indices, dropped)


def _number_of_options(
    path: Path, sections: Mapping[str, Prompts], labels: tuple[str, ...] | None
) -> int:
    prompts = (prompt for section in sections.values() for prompt in section.languages.values())
    sizes = {*(len(prompt.options) for prompt in prompts), *([len(labels)] if labels else [])}
    if len(sizes) > 1:
        numbers = " and ".join(map(str, sorted(sizes)))
        raise InputError(
            f"{path}: options: got {numbers}; expected as many in every prompt as there are labels"
        )
    return sizes.pop()


def _prompts(path: Path, name: str, table: SectionTable, languages: Sequence[str]) -> Prompts:
    for language in table.languages:
        if language not in languages:
            raise InputError(
                f"{path}: {name}.languages.{language}: no language of this task; expected {', '.join(languages)}"
            )
    prompts: dict[str | None, Prompt] = {}
    has_words = all(entry.words.keys() <= table.words.keys() for entry in table.languages.values())
    if (table.template and table.options and has_words) or not table.languages:
        prompts[None] = _prompt(path, name, table)
    for language, entry in table.languages.items():
        merged = PromptTable(
            context=entry.context or table.context,
            template=entry.template or table.template,
            options=entry.options or table.options,
            words={**table.words, **entry.words},
        )
        prompts[language] = _prompt(path, f"{name}.languages.{language}", merged)
    return Prompts(table.split, prompts)


def _prompt(path: Path, where: str, table: PromptTable) -> Prompt:
    if table.template is None or table.options is None:
        missing = "template" if table.template is None else "options"
        raise InputError(f"{path}: {where}.{missing}: missing; expected template and options")
    _check_distinct(f"{path}: {where}.options", table.options)
    prompt = Prompt(
        context=parse(table.context or "", f"{path}: {where}.context"),
        template=parse(table.template, f"{path}: {where}.template"),
        options=tuple(parse(option, f"{path}: {where}.options") for option in table.options),
        words=table.words,
    )
    _check_slots(f"{path}: {where}", prompt)
    return prompt


def _check_slots(where: str, prompt: Prompt) -> None:
    if all(slot.name != OPTION for slot in slots(prompt.context, prompt.template)):
        raise InputError(f"{where}.template: no {{option}}; expected {{option}} at its place")
    for slot in prompt.slots:
        if (slot.key is not None) != isinstance(prompt.words.get(slot.name), dict):
            raise InputError(
                f"{where}: {{{slot.name}}}; expected {{word[field]}} for a word with a text for each value, and for no "
                "other"
            )
    if any(slot.name == OPTION for slot in slots(*prompt.options)):
        raise InputError(f"{where}.options: {{option}} in an option; expected fields and words")
