"""A workdir → its evaluation, for comparisons; an evaluation in memory has the same records."""

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jaxprune.errors import InputError
from jaxprune.evaluation.metrics_json import METRICS, PerplexityFile, read_metrics
from jaxprune.evaluation.scoring import PERPLEXITY, Perplexity, Scored, check_scores
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.files import Scalar, from_json, read_json, read_npz
from jaxprune.ledger import (
    OUTPUTS,
    PROGRESS,
    check_scored_model,
    read_report,
    read_score_origin,
)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Evaluated:
    """The parts of a run's task that are compared.

    Attributes:
      languages: scores by code.
      protocol, labels: of metrics.json; None if absent.
      parallel: whether a row is the same question in all languages: metrics.json has RankC or is absent.
    """

    languages: Mapping[str, Scored]
    protocol: Any
    labels: Any
    parallel: bool


@dataclass(frozen=True, kw_only=True)
class EvaluatedRun:
    """The parts of a run that are compared.

    Attributes:
      name: in tables.
      identities: `identity` of each metrics.json, by folder; empty without that key.
      tasks: by name.
      perplexity: by language.
      translated: languages of the translations.
      folder: of translations and masks; None for a run in memory, which has neither.
      is_smaller: of a model with fewer tokens, so its tokenizer may be another one than that of the other run.
    """

    name: str
    identities: Mapping[str, Mapping[str, Scalar]]
    tasks: Mapping[str, Evaluated]
    perplexity: Mapping[str, Perplexity]
    translated: frozenset[str] = frozenset()
    folder: Path | None
    is_smaller: bool = False

    def within(self, languages: Collection[str]) -> "EvaluatedRun":
        """The run in these languages alone."""
        tasks = {
            name: dataclasses.replace(task, languages=_within(task.languages, languages))
            for name, task in self.tasks.items()
        }
        return dataclasses.replace(
            self,
            tasks=tasks,
            perplexity=_within(self.perplexity, languages),
            translated=self.translated & {*languages},
        )


def _within(by_language: Mapping[str, Value], languages: Collection[str]) -> dict[str, Value]:
    return {code: value for code, value in by_language.items() if code in languages}


def open_run(folder: Path) -> EvaluatedRun:
    """The evaluation in a workdir.

    Files without scores, labels or rows are ignored.

    Raises:
      InputError: no such folder, or a broken file.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the --workdir of an evaluated run")
    check_scored_model(folder)
    tasks: dict[str, dict[str, Scored]] = {}
    for file in sorted(folder.glob("*/*.npz")):
        if file.parent.name not in (*OUTPUTS, PROGRESS) and (scored := _read_scores(file)):
            tasks.setdefault(file.parent.name, {})[file.stem] = scored
    folders = [file.parent for file in folder.glob(f"*/{METRICS}")]
    return EvaluatedRun(
        name=str(folder),
        identities={one.name: read_score_origin(one).get("identity", {}) for one in folders},
        tasks={
            task: evaluated(of_task, read_metrics(folder / task)) for task, of_task in tasks.items()
        },
        perplexity=perplexities(folder),
        translated=frozenset(file.stem for file in (folder / TRANSLATION).glob("*.jsonl")),
        folder=folder,
        is_smaller="shrunk" in (read_report(folder) or {}),
    )


def perplexities(run: Path) -> dict[str, Perplexity]:
    """The perplexities of a run by language."""
    file = run / PERPLEXITY / METRICS
    return from_json(PerplexityFile, read_json(file), str(file)).get("languages", {})


def _read_scores(file: Path) -> Scored | None:
    arrays = read_npz(file)
    if not {"scores", "labels", "rows"} <= arrays.keys():
        return None
    scored = Scored(**{name: arrays[name] for name in Scored._fields if name in arrays})
    check_scores(scored, str(file))
    return scored


def evaluated(languages: Mapping[str, Scored], metrics: Mapping[str, Any]) -> Evaluated:
    """Scores by language, and the settings in metrics.json, each of which may be missing."""
    figures = metrics.get("languages", {})
    return Evaluated(
        languages,
        protocol=metrics.get("protocol"),
        labels=metrics.get("labels"),
        parallel=not figures or any("rankc" in figure for figure in figures.values()),
    )
