"""Translations of sentences and their protocol; `translation/<language>.jsonl`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from jaxprune.base.files.outside import parse_json, read_text

TRANSLATION: Final = "translation"  # the folder of the translations


class Translated(NamedTuple):
    """The translations from one language.

    Attributes:
      sources, hypotheses, references: texts of each sentence.
    """

    sources: Sequence[str]
    hypotheses: Sequence[str]
    references: Sequence[str]


class TranslationProtocol(NamedTuple):
    """The protocol of a translation; `stop` describes the end of a hypothesis."""

    target: str
    shots: int
    max_new_tokens: int
    stop: str = "eos or a line break"


def write_translated(file: Path, translated: Translated) -> None:
    """Writes one {"source", "hypothesis", "reference"} per line."""
    with file.open("w", encoding="utf-8") as lines:
        for source, hypothesis, reference in zip(*translated, strict=True):
            row = {"source": source, "hypothesis": hypothesis, "reference": reference}
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def read_translated(file: Path) -> Translated:
    """The translations in a file of `write_translated`.

    Raises:
      InputError: a line is no JSON.
    """
    # Not splitlines(): sentences may contain U+2028 and the like.
    lines = read_text(file).removesuffix("\n").split("\n")
    rows = [parse_json(line, str(file)) for line in lines]
    names = ("source", "hypothesis", "reference")
    return Translated(*([row[name] for row in rows] for name in names))
