"""The records of an evaluated run, from a workdir or from memory, that is compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxprune.evaluation.scoring import Perplexity, Scored
from jaxprune.files import Scalar


@dataclass(frozen=True)
class Evaluated:
    """The parts of a run's task that are compared.

    Attributes:
      languages: scores by code.
      protocol, labels: of metrics.json; None if absent.
      parallel: whether a row is the same question in all languages: metrics.json has RankC or is absent.
    """

    languages: Mapping[str, Scored]
    protocol: Any = None
    labels: Any = None
    parallel: bool = True


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """The parts of a run that are compared.

    Attributes:
      name: in tables.
      identities: `identity` of each metrics.json, by folder; empty for older files.
      tasks: by name.
      perplexity: by language.
      folder: of translations and masks; None for a run in memory, which has neither.
    """

    name: str
    identities: Mapping[str, Mapping[str, Scalar]]
    tasks: Mapping[str, Evaluated]
    perplexity: Mapping[str, Perplexity]
    folder: Path | None
