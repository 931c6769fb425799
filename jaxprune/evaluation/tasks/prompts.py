"""Prompts: templates over the fields of a row, and the rendered options.

{premise}               a field of the row
{text|words:128}        … after filters, applied from left to right
{option}                the option: a verbaliser, or a text with fields
{question}              a word of the task for the language
{connector[question]}   … for the language and the value of the row's field `question`
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from jaxprune.errors import InputError, shown
from jaxprune.evaluation.tasks.data import Row

OPTION = "option"
Word = str | Mapping[str, str]
_SLOT = re.compile(r"\{(\w+)(?:\[(\w+)\])?((?:\|\w+(?::\d+)?)*)\}")


@dataclasses.dataclass(frozen=True)
class Option:
    """A text of `context` and `continuation`; the continuation is scored, given the context.

    Attributes:
      row_spans: (start, end) of the characters that are from the row, not from the template.
    """

    context: str
    continuation: str
    row_spans: tuple[tuple[int, int], ...] = dataclasses.field(default=(), compare=False)


def _first_words(count: int, text: str) -> str:
    return " ".join(text.split()[:count])


def _detokenise(text: str) -> str:
    """Removes the spaces that the Penn Treebank's tokenizer inserts around English punctuation."""
    for spaced, joined in ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"')):
        text = text.replace(spaced, joined)
    return re.sub(r" (?=['.,])", "", text)


FILTERS: Mapping[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower_first": lambda text: text[:1].lower() + text[1:],
    "drop_last": lambda text: text.strip()[:-1],
    "drop_mark": lambda text: text[:-1] if text.endswith((".", ",", ";")) else text,
    "detokenise": _detokenise,
    "before_blank": lambda text: text[: text.index("_")],
    "after_blank": lambda text: text[text.index("_") + 1 :],
}


@dataclasses.dataclass(frozen=True)
class Slot:
    """A placeholder of a template: the name of a field or word, and its filters."""

    name: str
    key: str | None
    filters: tuple[Callable[[str], str], ...]


@dataclasses.dataclass(frozen=True)
class Template:
    """A text with slots."""

    parts: tuple[str | Slot, ...]

    @classmethod
    def parse(cls, text: str, where: str) -> "Template":
        """The template of a text.

        Raises:
          InputError: a brace outside a slot, or an unknown filter; the message starts with `where`.
        """
        parts: list[str | Slot] = []
        end = 0
        for match in _SLOT.finditer(text):
            parts.append(text[end : match.start()])
            filters = tuple(_filter(name, where) for name in match[3].split("|")[1:])
            parts.append(Slot(match[1], match[2], filters))
            end = match.end()
        parts.append(text[end:])
        if any("{" in part or "}" in part for part in parts if isinstance(part, str)):
            raise InputError(
                f"{where}: got {text!r}; allowed in braces: {{field}}, {{field|filter}}, "
                "{word[field]}"
            )
        return cls(tuple(part for part in parts if part))

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in their order."""
        return tuple(part for part in self.parts if isinstance(part, Slot))


def _filter(name: str, where: str) -> Callable[[str], str]:
    words = re.fullmatch(r"words:([1-9]\d*)", name)
    if words:
        return functools.partial(_first_words, int(words[1]))
    if name not in FILTERS:
        raise InputError(f"{where}: got filter {name!r}; allowed: {', '.join(FILTERS)}, words:N")
    return FILTERS[name]


class _Text(NamedTuple):
    """A rendered template, and the spans of its characters that are from the row."""

    text: str
    row_spans: tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The prompts of one protocol in one language.

    Attributes:
      context: the text before the scored text; empty if all of it is scored.
      template: the scored text.
      options: one per label, in order; the values of `{option}` in the other two.
      words: of the language, by name.
    """

    context: Template
    template: Template
    options: tuple[Template, ...]
    words: Mapping[str, Word]

    def slots(self) -> Iterator[Slot]:
        """All slots."""
        for template in (self.context, self.template, *self.options):
            yield from template.slots

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """The fields of a row that the prompts use."""
        names = {slot.key if slot.name in self.words else slot.name for slot in self.slots()}
        return frozenset(name for name in names if name is not None and name != OPTION)

    def render(self, row: Row) -> tuple[Option, ...]:
        """The options of a row.

        Raises:
          InputError: a field that is missing, empty or not a text; no blank for a filter of blanks; an
            empty scored text.
        """
        rendered = []
        for template in self.options:
            option = self._text(template, row, _Text("", ()))
            context, continuation = (
                self._text(template, row, option) for template in (self.context, self.template)
            )
            if not continuation.text.strip():
                raise InputError(f"{row.where}: the scored text is empty")
            offset = len(context.text)
            spans = context.row_spans + tuple(
                (a + offset, b + offset) for a, b in continuation.row_spans
            )
            rendered.append(Option(context.text, continuation.text, spans))
        return tuple(rendered)

    def _text(self, template: Template, row: Row, option: _Text) -> _Text:
        text, spans = "", []
        for part in template.parts:
            said = part if isinstance(part, str) else self._fill(part, row, option.text)
            if isinstance(part, Slot) and self._is_of_row(part, option):
                spans.append((len(text), len(text) + len(said)))
            text += said
        return _Text(text, tuple(spans))

    def _is_of_row(self, slot: Slot, option: _Text) -> bool:
        return bool(option.row_spans) if slot.name == OPTION else slot.name not in self.words

    def _fill(self, slot: Slot, row: Row, option: str) -> str:
        text = option if slot.name == OPTION else self._value(slot, row)
        try:
            return functools.reduce(lambda changed, change: change(changed), slot.filters, text)
        except ValueError:  # str.index
            raise InputError(f"{row.where}: {slot.name} has no blank _") from None

    def _value(self, slot: Slot, row: Row) -> str:
        if slot.name not in self.words:
            return row.text(slot.name)
        word = self.words[slot.name]
        if isinstance(word, str):
            return word
        assert slot.key is not None  # checked when the task is read
        chosen = row.text(slot.key)
        if chosen not in word:
            raise InputError(
                f"{row.where}: {slot.key} is {shown(chosen)}; allowed: {', '.join(word)}"
            )
        return word[chosen]
