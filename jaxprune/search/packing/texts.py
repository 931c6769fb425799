"""Texts by language → the part that is kept, the part on which choices are measured, the part that is reported."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from jaxprune.base.errors import InputError
from jaxprune.base.files.whole import write_text
from jaxprune.hf.model import Model
from jaxprune.search.packing.config import PackConfig
from jaxprune.shrinking.texts import texts_by_language
from jaxprune.steps.generated import openings_of, written_texts

# Held-out lines of a language, at most; choices are measured on a third of them, and the others are reported.
_LINES = 500
_HELD_OUT = 5  # one line of so many, without other text
_FEWEST, _FEWEST_HELD_OUT = 50, 8  # lines of a language
# Texts of a language, and tokens of each, that the model writes for want of others.
_WRITTEN, _WRITTEN_TOKENS = 400, 48

Texts = dict[str, list[str]]


class Parts(NamedTuple):
    """Lines by language.

    Attributes:
      kept: their tokens are kept, and they calibrate.
      choosing: the losses on them decide.
      reported: the losses on them are the result.
    """

    kept: Texts
    choosing: Texts
    reported: Texts

    @property
    def digest(self) -> str:
        """SHA-256 of all lines."""
        return hashlib.sha256(json.dumps(self).encode()).hexdigest()

    def write(self, folder: Path) -> None:
        """Writes a folder of `<language>.txt` for each part."""
        for name, texts in self._asdict().items():
            _write(folder / name, texts)


def own_text(model: Model, config: PackConfig, folder: Path) -> Texts:
    """Text that the model writes in each language, a line for each text; read from the folder if it was written."""
    if not folder.is_dir():
        turns = [code for code in config.languages for _ in range(_WRITTEN)]
        written = written_texts(model, turns, _WRITTEN_TOKENS, config.seed)
        lines: Texts = {code: [] for code in config.languages}
        for code, text in zip(turns, written, strict=True):
            lines[code].append(" ".join(text.split()))
        unfinished = folder.with_name(f"{folder.name}.new")
        _write(unfinished, lines)
        unfinished.replace(folder)
    return _lines("--text", str(folder), config.languages)


def planned_text(config: PackConfig) -> Texts:
    """Stands in a plan for text that the model has yet to write: as many lines, of about as many tokens.

    Raises:
      InputError: a language in which the model cannot begin, see `openings_of`.
    """
    for code in config.languages:
        openings_of(code)
    line = "a " * _WRITTEN_TOKENS
    return {code: [f"{line}{number}" for number in range(_WRITTEN)] for code in config.languages}


def parts_of(config: PackConfig, text: Texts | None = None) -> Parts:
    """The texts of a config in three parts, without a line that is in two of them.

    Held-out lines follow each other, as neighbours are alike.

    Args:
      text: lines by language, in place of those of `config.text`.

    Raises:
      InputError: no such folder or language, or too few lines.
    """
    kept = _lines("--text", str(config.text), config.languages) if text is None else text
    if config.heldout is not None:
        heldout = _lines("--heldout", config.heldout, config.languages)
    else:
        cut = {code: len(lines) - len(lines) // _HELD_OUT for code, lines in kept.items()}
        heldout = {code: lines[cut[code] :] for code, lines in kept.items()}
        kept = {code: lines[: cut[code]] for code, lines in kept.items()}
    choosing, reported = Texts(), Texts()
    for code, lines in heldout.items():
        known = {*kept[code]}
        new = [line for line in lines if line not in known][:_LINES]
        if len(new) < _FEWEST_HELD_OUT:
            where = (
                "--text: its last fifth"
                if config.heldout is None
                else f"--heldout: {config.heldout}"
            )
            raise InputError(
                f"{where} has {len(new)} lines of {code} that the other text lacks; expected at least "
                f"{_FEWEST_HELD_OUT}, to measure on"
            )
        cut_at = len(new) // 3
        choosing[code], reported[code] = new[:cut_at], new[cut_at:]
    return Parts(kept, choosing, reported)


def _write(folder: Path, texts: Texts) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for code, lines in texts.items():
        write_text(folder / f"{code}.txt", "\n".join(lines) + "\n")


def _lines(flag: str, folder: str, languages: tuple[str, ...]) -> Texts:
    texts = texts_by_language(flag, [folder], languages)
    lines = {
        code: [line.strip() for text in own for line in text.splitlines() if line.strip()]
        for code, own in texts.items()
    }
    for code, own in lines.items():
        if len(own) < _FEWEST:
            raise InputError(
                f"{flag}: {folder} has {len(own)} lines of {code}; expected at least {_FEWEST}"
            )
    return lines
