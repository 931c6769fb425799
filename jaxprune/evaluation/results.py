"""The results of an evaluation, and their metrics.json."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxprune.evaluation.scoring import Perplexity, Scored, TaskMetrics
from jaxprune.files import to_json


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """The result on one task: `<task>/metrics.json`.

    Attributes:
      task, protocol, data: the task's name, the protocol and the source of the rows, as in `TaskQuestions`.
      labels: names of the options, if they are the same in every row.
      metrics: the figures.
      about: facts on the run, as JSON values.
      seconds: of wall time.
      scored: the scores of every row by language, the contents of `<language>.npz`.
    """

    task: str
    protocol: str
    labels: tuple[str, ...] | None
    data: str
    metrics: TaskMetrics
    about: Mapping[str, Any]
    seconds: float
    scored: Mapping[str, Scored] = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The object of metrics.json."""
        own = {
            name: to_json(getattr(self, name)) for name in ("task", "protocol", "labels", "data")
        }
        return {**own, **to_json(self.metrics), **self.about, "seconds": self.seconds}


@dataclass(frozen=True, kw_only=True)
class PerplexityResult:
    """Perplexity by language: `perplexity/metrics.json`; `about` and `seconds` as in `TaskResult`.

    Attributes:
      continuations: of the first lines of each text by language; empty if none were made.
    """

    languages: Mapping[str, Perplexity]
    about: Mapping[str, Any]
    seconds: float
    continuations: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The object of metrics.json."""
        made = {"continuations": to_json(self.continuations)} if self.continuations else {}
        return {"languages": to_json(self.languages), **made, **self.about, "seconds": self.seconds}
