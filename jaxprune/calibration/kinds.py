"""Kinds of calibration sets: one record each, from which allowed values, messages and needs follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class CalibrationKind:
    """A kind of calibration set.

    Attributes:
      name: value of `calibration.kind`.
      meaning: the samples in words.
      role: of its batches, see `Batch`.
      reads_text: samples are made of sentences, with a tokenizer; otherwise they are ready token ids.
      translates: a shot is a sentence and its translation.
      may_hold_code: a second set, with the role "code", is made or may be given.
    """

    name: str
    meaning: str
    role: str
    reads_text: bool = True
    translates: bool = False
    may_hold_code: bool = False


_ALL = (
    CalibrationKind(
        "translation", "sentences and their translations", "translation", translates=True
    ),
    CalibrationKind("monolingual", "sentences of one language", "monolingual"),
    CalibrationKind(
        "translation_vs_code",
        "translations, and files of Python to compare with",
        "translation",
        translates=True,
        may_hold_code=True,
    ),
    CalibrationKind(
        "tokens", "ready token ids from an .npz", "tokens", reads_text=False, may_hold_code=True
    ),
)
KINDS: Mapping[str, CalibrationKind] = {kind.name: kind for kind in _ALL}
