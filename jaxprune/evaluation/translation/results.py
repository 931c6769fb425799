"""Scores of translations: of one system (`translation/metrics.json`), and of a comparison of two."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jaxprune.evaluation.metrics_json import METRICS
from jaxprune.evaluation.scoring import Interval
from jaxprune.files import from_json, read_json, to_json

TRANSLATION = "translation"


@dataclass(frozen=True)
class ScoreComparison:
    """A score of two systems on the same sentences, 0 to 100.

    Attributes:
      a, b: the score of each.
      difference: b minus a.
      p: two-sided p-value of sacrebleu's paired bootstrap.
      interval_a, interval_b: 95% intervals.
      signature: of sacrebleu, for the score and the test.
    """

    a: float
    b: float
    difference: float
    p: float
    interval_a: Interval
    interval_b: Interval
    signature: str


@dataclass(frozen=True)
class LanguageScores:
    """Corpus BLEU and chrF, 0 to 100, of the translations of `rows` sentences."""

    bleu: float
    chrf: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class TranslationProtocol:
    """The protocol of a translation; `stop` describes the end of a hypothesis."""

    target: str
    shots: int
    beams: int
    length_penalty: float = 1.0
    max_new_tokens: int
    stop: str = "eos or a line break"


@dataclass(frozen=True, kw_only=True)
class TranslationResult:
    """Translations by language: `translation/metrics.json`.

    Attributes:
      languages: by source language.
      signatures: of sacrebleu, by metric.
      protocol: of the translations.
      about: entries on the run, as JSON values.
      seconds: wall time.
    """

    languages: Mapping[str, LanguageScores]
    signatures: Mapping[str, str]
    protocol: TranslationProtocol
    about: Mapping[str, Any]
    seconds: float

    def json(self) -> dict[str, Any]:
        """The object of metrics.json."""
        own = {
            name: to_json(getattr(self, name)) for name in ("languages", "signatures", "protocol")
        }
        return {"task": TRANSLATION, **own, **self.about, "seconds": self.seconds}

    @classmethod
    def read(cls, run: Path) -> "TranslationResult | None":
        """Reads the result of a run; None if it has no translations.

        Raises:
          InputError: the file is invalid or lacks a key.
        """
        file = run / TRANSLATION / METRICS
        values = read_json(file)
        if not values:
            return None
        names = {"task", *(field.name for field in fields(cls))}
        about = {key: value for key, value in values.items() if key not in names}
        return from_json(cls, values | {"about": about}, str(file))
