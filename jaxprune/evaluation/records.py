"""What an evaluation is asked and what it finds: the questions of a task, and the metrics.json of each folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jaxprune.evaluation.scoring import Perplexity, Scored, TaskMetrics
from jaxprune.evaluation.tasks import Question, Task
from jaxprune.files import to_json


@dataclass(frozen=True)
class TaskQuestions:
    """A task, its questions by language under one protocol, and where their rows are from."""

    task: Task
    protocol: str
    data: str
    languages: Mapping[str, Sequence[Question]]

    def of(self, codes: Sequence[str]) -> TaskQuestions:
        """Those of some languages."""
        chosen = {code: self.languages[code] for code in codes}
        return TaskQuestions(self.task, self.protocol, self.data, chosen)


@dataclass(frozen=True, kw_only=True)
class TaskResult:
    """What `<task>/metrics.json` holds.

    Attributes:
      task, protocol, data: as in `TaskQuestions`.
      labels: names of the options, where they are the same in every row.
      metrics: the figures.
      about: what else it tells of the run, as JSON values.
      seconds: all of it took.
      scored: by language the scores of every row, which stand beside it in `<language>.npz`.
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
        return {
            "task": self.task,
            "protocol": self.protocol,
            "labels": to_json(self.labels),
            "data": self.data,
            **to_json(self.metrics),
            **self.about,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, kw_only=True)
class PerplexityResult:
    """What `perplexity/metrics.json` holds; `about` and `seconds` as in `TaskResult`."""

    languages: Mapping[str, Perplexity]
    about: Mapping[str, Any]
    seconds: float

    def json(self) -> dict[str, Any]:
        """The object of metrics.json."""
        return {"languages": to_json(self.languages), **self.about, "seconds": self.seconds}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What `jaxprune.evaluate` returns.

    Attributes:
      model: folder of the model that was evaluated, by which tables call it.
      tasks: by name, with figures in `.metrics` and the scores of every row in `.scored`.
      perplexity: with `.languages`, each with perplexity, tokens and windows; None where it was not asked for.
    """

    model: str
    tasks: Mapping[str, TaskResult]
    perplexity: PerplexityResult | None
