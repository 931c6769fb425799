"""The keys of metrics.json of a task, of perplexity or of translation.

Files of other programs may lack keys; the values of present keys are checked.
"""

from pathlib import Path
from typing import Annotated, TypedDict

from msgspec import Meta

from jaxprune.evaluation.scoring import Perplexity
from jaxprune.files import Count, Finite, Seconds, Share, read_as
from jaxprune.ledger import ScoreOrigin

METRICS = "metrics.json"
_Percents = Annotated[float, Meta(ge=0, le=100 + 1e-6)]
_Gap = Annotated[float, Meta(ge=-1 - 1e-9, le=1 + 1e-9)]


class RankCFigures(TypedDict, total=False):
    """RankC of both kinds."""

    corrected: Share
    official: Share


class LanguageFigures(TypedDict, total=False):
    """The figures of one language, in any evaluation."""

    rows: Count
    accuracy: Share
    interval: tuple[Finite, Finite]
    f1: Share
    probability: Share
    chosen: tuple[Share, ...]
    accuracy_without_prior: Share
    discrimination: Share
    discrimination_interval: tuple[Finite, Finite]
    contrast: Finite
    rankc: RankCFigures
    perplexity: Annotated[float, Meta(ge=0, le=1e308)]
    tokens: Count
    windows: Count
    bits_per_byte: Annotated[float, Meta(ge=0, le=1e308)] | None
    bleu: _Percents
    chrf: _Percents


class Worst(TypedDict):
    """The language with the lowest accuracy."""

    language: str
    accuracy: Share


class TranslationAbout(TypedDict):
    """The compared part of a translation's protocol."""

    target: str
    shots: Count
    beams: Count
    max_new_tokens: Count


class ContinuedLine(TypedDict):
    """The beginning of a line, and the text that a model writes after it."""

    beginning: str
    text: str


class MetricsFile(ScoreOrigin, total=False):
    """metrics.json; pages also show other keys, such as `environment`."""

    languages: dict[str, LanguageFigures]
    protocol: str | TranslationAbout
    labels: list[str] | None
    calibration_overlap: dict[str, Count]
    continuations: dict[str, list[ContinuedLine]]
    task: str
    data: str
    model: str
    revision: str | None
    dtype: str
    seed: int
    mean: Share
    mean_non_english: Share | None
    worst: Worst
    gap_to_english: dict[str, _Gap]
    seconds: Seconds


class PerplexityFile(TypedDict, total=False):
    """The compared keys of perplexity's metrics.json."""

    languages: dict[str, Perplexity]


class TranslationFile(TypedDict):
    """The compared keys of translation's metrics.json."""

    protocol: TranslationAbout


def read_metrics(folder: Path) -> MetricsFile:
    """The metrics.json of a folder; empty if absent.

    Raises:
      InputError: it is broken, or a value has another type (names the value).
    """
    return read_as(MetricsFile, folder / METRICS) or {}


def is_scored(metrics: MetricsFile) -> bool:
    """Whether options were scored: every language has an accuracy with its interval."""
    figures = metrics.get("languages", {}).values()
    return bool(figures) and all({"accuracy", "interval"} <= one.keys() for one in figures)
