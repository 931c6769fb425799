"""metrics.json of a task, of perplexity or of translation; `results` and `translation.results` have its keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from jaxprune.evaluation.scoring import Perplexity
from jaxprune.files import read_json

METRICS = "metrics.json"
# Files of other programs may lack keys.
LanguageFigures = Mapping[str, Any]
MetricsFile = Mapping[str, Any]


class PerplexityFile(TypedDict, total=False):
    """The compared keys of perplexity's metrics.json."""

    languages: dict[str, Perplexity]


def read_metrics(folder: Path) -> MetricsFile:
    """The metrics.json of a folder; empty if absent.

    Raises:
      InputError: it is no JSON object.
    """
    return read_json(folder / METRICS)


def is_scored(metrics: MetricsFile) -> bool:
    """Whether options were scored: every language has an accuracy with its interval."""
    figures = metrics.get("languages", {}).values()
    return bool(figures) and all({"accuracy", "interval"} <= one.keys() for one in figures)
