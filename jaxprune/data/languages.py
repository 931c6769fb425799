"""Languages: ISO 639-1 code, FLORES codes, English name as in demonstrations, and words with which texts begin."""

import csv
import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.schema import comma_separated, several

# Joins the languages of one calibration set; commas separate the items of a list.
MIX = "+"
_NUMBER = re.compile(r"([\w-]+):((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)")


@dataclass(frozen=True)
class Language:
    """A language of the demonstrations.

    Attributes:
      code: ISO 639-1, or 639-3 if the language has no two-letter code.
      flores: codes in FLORES-200 and, if renamed there, FLORES+; empty if in neither.
      name: English name, as in the prompt "French: …".
      openings: frequent first words of a text, which a model continues in this language; empty if the table has none.
    """

    code: str
    flores: tuple[str, ...]
    name: str
    openings: tuple[str, ...]


def _read_table(file: Path) -> dict[str, Language]:
    """The languages of the table by code; in cells, FLORES codes are separated by spaces and openings by |."""
    with file.open(encoding="utf-8", newline="") as table:
        return {
            row["code"]: Language(
                code=row["code"],
                flores=tuple(row["flores"].split()),
                name=row["name"],
                openings=tuple(filter(None, row["openings"].split("|"))),
            )
            for row in csv.DictReader(table, delimiter="\t")
        }


# Every FLORES language with a two-letter code, and the other languages of XGLM, BLOOM and mGPT.
LANGUAGES = _read_table(Path(__file__).with_name("languages.tsv"))


def numbers_by_language(text: str) -> dict[str, float]:
    """A number for each language, from a text such as "fr:2,sw:0.5".

    Raises:
      ValueError: another form, or a language twice.
    """
    parts = [_NUMBER.fullmatch(part) for part in comma_separated(text)]
    numbers = {part[1]: float(part[2]) for part in parts if part}
    if not numbers or len(numbers) < len(parts):
        raise ValueError(text)
    return numbers


def language(code: str) -> Language:
    """The language of an ISO 639-1 code.

    Raises:
      InputError: the table has no such code; the message suggests the closest one.
    """
    if code in LANGUAGES:
        return LANGUAGES[code]
    hint = code_hint(code)
    raise InputError(f"language {code!r} is not known; expected a code such as fr{hint}")


def code_hint(codes: object) -> str:
    """The end of a message on codes with commas: the first unknown one, or the code that it resembles."""
    unknown = next((code for code in joined(str(codes)) if code not in LANGUAGES), "")
    spelled = {
        spelling.lower(): entry.code
        for entry in LANGUAGES.values()
        for spelling in (entry.name, *entry.flores)
    }
    close = difflib.get_close_matches(unknown[:100].lower(), [*spelled, *LANGUAGES], n=1)
    if close:
        return f" (did you mean {spelled.get(close[0], close[0])}?)"
    return f" ({unknown} is unknown)" if unknown else ""


def joined(languages: str) -> tuple[str, ...]:
    """The languages of one calibration set, separated by + or commas."""
    return comma_separated(languages.replace(MIX, ","))


def sources_field(meaning: str = "") -> Any:
    """A field of the languages of one calibration set, separated by + or commas; French by default."""
    allowed = "a language code such as fr, or several, each once, as fr,ru,sw or fr+ru+sw"
    field = several(allowed, LANGUAGES, "fr", meaning, hint=code_hint)
    return replace(field, parse=lambda text: field.parse(",".join(joined(text))))


def languages_field(meaning: str, *, required: bool = False) -> Any:
    """A field of codes of LANGUAGES with commas; by default the languages of the data (`texts.chosen_languages`)."""
    allowed = "codes such as fr,de,sw, each once"
    return replace(several(allowed, LANGUAGES, meaning=meaning, hint=code_hint), required=required)
