"""Kinds of calibration sets: one record each, which determines allowed values, messages and requirements."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Int

from jaxprune.data.arrangements import Arranged, alone, apart, paired, shuffled


@dataclasses.dataclass(frozen=True)
class CalibrationKind:
    """A kind of calibration set.

    Attributes:
      name: value of `calibration.kind`.
      meaning: description of the samples.
      arrange: the lines of each sample → its sentences.
      reads_text: whether samples are made of text, with a tokenizer; otherwise they are token ids.
      is_generated: whether the dense model writes the text, so that no data is read.
      has_target: whether samples also have sentences of `calibration.target`.
      may_hold_code: whether there can be a second set, with the role "code".
      least: number of samples of a language.
    """

    name: str
    meaning: str
    arrange: Callable[[Int[np.ndarray, "samples shots"]], Arranged] = alone
    reads_text: bool = True
    is_generated: bool = False
    has_target: bool = False
    may_hold_code: bool = False
    least: int = 1

    @property
    def reads_lines(self) -> bool:
        """Whether its text is lines of `calibration.data`."""
        return self.reads_text and not self.is_generated

    @property
    def role(self) -> str:
        """The role of its batches without code; see `Batch`."""
        return self.name.removesuffix("_vs_code")


_ALL = (
    CalibrationKind("translation", "sentences and their translations", paired, has_target=True),
    CalibrationKind(
        "shuffled",
        "sentences, each followed by the translation of another",
        shuffled,
        has_target=True,
        least=2,
    ),
    CalibrationKind(
        "unpaired",
        "sentences and their translations, in separate samples",
        apart,
        has_target=True,
        least=2,
    ),
    CalibrationKind("monolingual", "sentences of one language", alone),
    CalibrationKind(
        "translation_vs_code",
        "translations, and Python files to compare them with",
        paired,
        has_target=True,
        may_hold_code=True,
    ),
    CalibrationKind(
        "monolingual_vs_code",
        "sentences of one language, and Python files to compare them with",
        alone,
        may_hold_code=True,
    ),
    CalibrationKind(
        "generated",
        "text that the dense model writes in each language, a sample up to the limit on its tokens",
        is_generated=True,
    ),
    CalibrationKind("tokens", "ready token ids from an .npz", reads_text=False, may_hold_code=True),
)
KINDS: Mapping[str, CalibrationKind] = {kind.name: kind for kind in _ALL}
