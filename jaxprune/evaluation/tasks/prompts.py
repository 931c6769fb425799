"""Prompts: templates over the fields of a row, and the rendered options.

{premise}               a field of the row
{text|words:128}        … after filters, applied from left to right
{option}                the option: a verbaliser, or a text with fields
{question}              a word of the task for the language
{connector[question]}   … for the language and the value of the row's field `question`
"""

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Mapping

from jaxprune.base.errors import InputError, shown
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


# The texts and slots of a template, in their order.
Template = tuple[str | Slot, ...]


def parse(text: str, where: str) -> Template:
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
            f"{where}: got {text!r}; expected in braces {{field}}, {{field|filter}}, {{word[field]}}"
        )
    return tuple(part for part in parts if part)


def slots(*templates: Template) -> list[Slot]:
    """The slots of templates, in their order."""
    return [part for template in templates for part in template if isinstance(part, Slot)]


def _filter(name: str, where: str) -> Callable[[str], str]:
    words = re.fullmatch(r"words:([1-9]\d*)", name)
    if words:
        return functools.partial(_first_words, int(words[1]))
    if name not in FILTERS:
        raise InputError(f"{where}: got filter {name!r}; expected {', '.join(FILTERS)}, words:N")
    return FILTERS[name]


# The texts of a template's parts, and whether each is from the row.
_Filled = list[tuple[str, bool]]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """The prompts of one protocol in one language.

    Attributes:
      context: the text before the scored text; empty if all of it is scored.
      template: the scored text.
      options: one option per label, in order; the values of `{option}` in the other two.
      words: words of the language, by name.
    """

    context: Template
    template: Template
    options: tuple[Template, ...]
    words: Mapping[str, Word]

    @functools.cached_property
    def slots(self) -> list[Slot]:
        """The slots of all templates."""
        return slots(self.context, self.template, *self.options)

    @functools.cached_property
    def fields(self) -> frozenset[str]:
        """The fields of a row that the prompts use."""
        names = {slot.key if slot.name in self.words else slot.name for slot in self.slots}
        return frozenset(name for name in names if name is not None and name != OPTION)

    def render(self, row: Row) -> tuple[Option, ...]:
        """The options of a row.

        Raises:
          InputError: a field that is missing, empty or not a text; no blank for a filter of blanks; an
            empty scored text.
        """
        rendered = []
        for template in self.options:
            option = self._filled(template, row, [])
            context, continuation = (
                self._filled(template, row, option) for template in (self.context, self.template)
            )
            if not _joined(continuation).strip():
                raise InputError(f"{row.where}: the scored text is empty")
            parts = context + continuation
            ends = itertools.accumulate(len(text) for text, _ in parts)
            spans = tuple(
                (end - len(text), end)
                for (text, is_from_row), end in zip(parts, ends, strict=True)
                if is_from_row
            )
            rendered.append(Option(_joined(context), _joined(continuation), spans))
        return tuple(rendered)

    def _filled(self, template: Template, row: Row, option: _Filled) -> _Filled:
        return [
            (part, False) if isinstance(part, str) else self._value(part, row, option)
            for part in template
        ]

    def _value(self, slot: Slot, row: Row, option: _Filled) -> tuple[str, bool]:
        """The text of a slot, and whether it is from the row."""
        word, is_from_row = self.words.get(slot.name), False
        if slot.name == OPTION:
            text, is_from_row = _joined(option), any(is_from_row for _, is_from_row in option)
        elif word is None:
            text, is_from_row = row.text(slot.name), True
        elif isinstance(word, str):
            text = word
        else:
            assert slot.key is not None  # checked when the task is read
            value = row.text(slot.key)
            if value not in word:
                raise InputError(
                    f"{row.where}: {slot.key} is {shown(value)}; expected {', '.join(word)}"
                )
            text = word[value]
        try:
            for change in slot.filters:
                text = change(text)
        except ValueError:  # str.index
            raise InputError(f"{row.where}: {slot.name} has no blank _") from None
        return text, is_from_row


def _joined(parts: _Filled) -> str:
    return "".join(text for text, _ in parts)
