"""The metrics.json of a task, perplexity or translation, as comparisons and pages read it.

An older version may have written it, or somebody else: a key may be missing, one that is there fits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NotRequired, TypedDict

from msgspec import Meta

from jaxprune.files import Count, Finite, Hexadecimal, Seconds, Share, read_as

_Percents = Annotated[float, Meta(ge=0, le=100 + 1e-6)]
_Gap = Annotated[float, Meta(ge=-1 - 1e-9, le=1 + 1e-9)]


class Consistency(TypedDict, total=False):
    """RankC of either kind."""

    corrected: Share
    official: Share


class LanguageFigures(TypedDict, total=False):
    """What any evaluation says of one language."""

    rows: Count
    accuracy: Share
    interval: tuple[Finite, Finite]
    f1: Share
    probability: Share | None
    rankc: Consistency | None
    perplexity: Annotated[float, Meta(ge=0, le=1e308)]
    tokens: Count
    windows: Count
    bleu: _Percents
    chrf: _Percents


class Worst(TypedDict):
    """The language with the lowest accuracy."""

    language: str
    accuracy: Share


class TranslationAbout(TypedDict):
    """How sentences were translated, as far as it is compared."""

    target: str
    shots: NotRequired[Count]
    beams: NotRequired[Count]


class MetricsFile(TypedDict, total=False):
    """metrics.json."""

    languages: dict[str, LanguageFigures]
    protocol: str | TranslationAbout | None
    labels: list[str] | None
    task: str
    data: str | None
    model: str | None
    model_sha256: Hexadecimal | None
    revision: str | None
    dtype: str
    seed: int
    mean: Share | None
    mean_non_english: Share | None
    worst: Worst | None
    gap_to_english: dict[str, _Gap] | None
    seconds: Seconds


class PerplexityFigures(TypedDict):
    """A perplexity, of how many tokens, and the mean log-probability of each window."""

    perplexity: Annotated[float, Meta(gt=0, le=1e308)]
    tokens: Count
    windows: NotRequired[Count]
    by_window: NotRequired[list[Annotated[float, Meta(ge=-1e308, le=1e308)]]]


class PerplexityFile(TypedDict, total=False):
    """metrics.json of perplexity, to be compared."""

    languages: dict[str, PerplexityFigures]
    seconds: Seconds


class TranslationFile(TypedDict):
    """metrics.json of translation, to be compared."""

    protocol: TranslationAbout


class TranslatedRow(TypedDict):
    """A line of a translation's .jsonl, as far as it is compared."""

    hypothesis: str
    reference: str


def read_metrics(folder: Path) -> MetricsFile:
    """The metrics.json of a folder; empty where there is none.

    Raises:
      InputError: it is broken, or a value is not what it should be; names it.
    """
    return read_as(MetricsFile, folder / "metrics.json") or {}
