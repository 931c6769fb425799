"""Folders of texts → the texts of each language, from which tokens are chosen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxprune.base.errors import InputError, listed
from jaxprune.base.files.outside import parse_json, read_text
from jaxprune.base.files.places import local_path
from jaxprune.data.languages import LANGUAGES
from jaxprune.data.line_range import lines_of
from jaxprune.data.nano import text_place
from jaxprune.shrinking.config import ShrinkFields
from jaxprune.shrinking.words import frequent_words

# By language.
Texts = Mapping[str, Sequence[str]]

_SUFFIXES = (".txt", ".jsonl")


class RunTexts(NamedTuple):
    """Texts by language: those whose tokens are chosen, frequent words, and others for the report."""

    chosen: Texts
    words: Texts
    heldout: Texts

    @property
    def digest(self) -> str:
        """SHA-256 of all texts."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()


def read_texts(fields: ShrinkFields) -> RunTexts:
    """The texts that the fields name; raises as `texts_by_language`."""
    if fields.vocabulary is None:
        if all(cut is None for cut in (fields.layers, fields.drop_layers, fields.mlp)):
            raise InputError(
                "shrink: nothing to shrink; set shrink.vocabulary, shrink.layers, shrink.drop_layers or "
                "shrink.mlp"
            )
        fields.check_without_texts("shrink.", "shrink.vocabulary")
        return RunTexts({}, {}, {})
    chosen = texts_by_language("shrink.vocabulary", fields.vocabulary, fields.languages)
    words = {code: frequent_words(code, fields.words) for code in chosen} if fields.words else {}
    if without := [code for code, own_words in words.items() if not own_words]:
        print(f"wordfreq has no list for {' '.join(without)}")
    heldout = {}
    if fields.heldout is not None:
        heldout = texts_by_language("shrink.heldout", fields.heldout, [*chosen])
    return RunTexts(chosen, words, heldout)


def texts_by_language(
    field: str, places: Sequence[str], languages: Sequence[str] | None
) -> dict[str, list[str]]:
    """The lines of .txt files, and all texts in the rows of .jsonl files; blank ones are omitted.

    Args:
      field: name of the config field, for messages.
      places: folders of `<language>.txt` or `.jsonl`, each with `:FIRST-LAST` for some lines only;
        or "nano". A folder may lack a language that another one has.
      languages: language codes; by default the known ones of the first folder.

    Raises:
      InputError: no such folder, lines or language; a file that is not UTF-8 or a row that is no JSON object.
    """
    cut = [_cut(place) for place in places]
    folders = [(_folder(field, folder), lines) for folder, lines in cut]
    codes = languages or [code for code in _codes(folders[0][0]) if code in LANGUAGES]
    available = sorted({code for folder, _ in folders for code in _codes(folder)})
    if not codes or not available:
        raise InputError(f"{field}: {folders[0][0]} has no <language>.txt or .jsonl")
    texts: dict[str, list[str]] = {}
    for code in codes:
        texts[code] = []
        for folder, lines in folders:
            for file in filter(Path.exists, (folder / f"{code}{suffix}" for suffix in _SUFFIXES)):
                chosen = lines_of(_rows(file), lines, field, file)
                texts[code] += [text for row in chosen for text in row if text.strip()]
        if not texts[code] and code in available:
            raise InputError(
                f"{field}: the files of {code!r} have no text; expected a line or more"
            )
        if not texts[code]:
            raise InputError(
                f"{field}: no texts of {code!r}; expected {code}.txt or .jsonl beside those of {listed(available, ' ')}"
            )
    return texts


def _cut(place: str) -> tuple[str, str | None]:
    """A folder and its range of lines."""
    folder, colon, lines = place.strip().rpartition(":")
    is_range = colon and not lines.startswith("//")  # as of s3://bucket/folder
    return (folder, lines) if is_range else (place.strip(), None)


def _folder(field: str, name: str) -> Path:
    folder = local_path(text_place(name, "calibration"))
    if not folder.is_dir():
        raise InputError(f"{field}: no folder {name!r}")
    return folder


def _codes(folder: Path) -> list[str]:
    """The names of the files of texts."""
    return sorted({file.stem for file in folder.iterdir() if file.suffix in _SUFFIXES})


def _rows(file: Path) -> list[list[str]]:
    """The texts of each line."""
    lines = read_text(file).removesuffix("\n").split("\n")
    if file.suffix == ".txt":
        return [[line] for line in lines]
    rows = []
    for number, line in enumerate(lines, start=1):
        row = parse_json(line, f"{file}:{number}")
        if not isinstance(row, dict):
            raise InputError(f"{file}:{number}: expected a JSON object")
        rows.append([value for value in row.values() if isinstance(value, str)])
    return rows
