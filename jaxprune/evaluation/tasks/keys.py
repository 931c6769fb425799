"""The tables of a task file, as types that msgspec checks."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from jaxprune.evaluation.tasks.prompts import OPTION

_Text = Annotated[str, Meta(pattern=r"\S")]
_Name = Annotated[str, Meta(pattern=r"^\w[\w-]*$")]
_WordName = Annotated[str, Meta(pattern=rf"^(?!{OPTION}$)\w+$")]
_Options = Annotated[list[_Text], Meta(min_length=2)]


class LabelTable(Struct, forbid_unknown_fields=True):
    """The table `label`: the field of a row, its values by label, and values in rows to skip."""

    field: _Text
    values: dict[str, str | int] | None = None
    drop: list[str | int] = []


class PromptTable(Struct, forbid_unknown_fields=True):
    """A prompt; a word is a text, or a table of texts by value of a field."""

    context: _Text | None = None
    template: _Text | None = None
    options: _Options | None = None
    words: dict[_WordName, _Text | dict[str, _Text]] = {}


class SectionTable(PromptTable, forbid_unknown_fields=True):
    """The prompts of a protocol: for all languages, and the differences of some."""

    split: _Text | None = None
    languages: dict[str, PromptTable] = {}


class TaskTable(Struct, forbid_unknown_fields=True):
    """A task file. In `data`, `config` and `files`, {lang} and {split} are placeholders.

    Attributes:
      data: a pattern of .jsonl or .csv files, a folder, or a hub id.
      languages: codes, or code → name in the data set.
      group: a field.
    """

    name: _Name
    data: _Text
    languages: (
        Annotated[list[_Name], Meta(min_length=1)]
        | Annotated[dict[_Name, _Text], Meta(min_length=1)]
    )
    label: LabelTable
    config: _Text | None = None
    split: _Text | None = None
    revision: _Text | None = None
    files: _Text | None = None
    parallel: bool = False
    group: _Text | None = None
    labels: _Options | None = None
    empty: Literal["error", "drop"] = "error"
    paper: SectionTable | None = None
    lm_eval: SectionTable | None = None
