"""Kinds of calibration sets: one record each, which determines allowed values, messages and requirements."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class CalibrationKind:
    """A kind of calibration set.

    Attributes:
      name: value of `calibration.kind`.
      meaning: description of the samples.
      role: of its batches; see `Batch`.
      reads_text: whether samples are made of sentences, with a tokenizer; otherwise they are token ids.
      translates: whether a shot is a sentence and its translation.
      may_hold_code: whether there can be a second set, with the role "code".
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
        "translations, and Python files to compare them with",
        "translation",
        translates=True,
        may_hold_code=True,
    ),
    CalibrationKind(
        "tokens", "ready token ids from an .npz", "tokens", reads_text=False, may_hold_code=True
    ),
)
KINDS: Mapping[str, CalibrationKind] = {kind.name: kind for kind in _ALL}
