"""LRP2 in a sweep: no pruning, but a pair of layers for each language, chosen on validation rows."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
from jaxtyping import Float

from jaxprune.calibration import sentences
from jaxprune.config import SweepConfig
from jaxprune.errors import InputError, refusal
from jaxprune.evaluation import lrp2, protocol_of
from jaxprune.evaluation.identity import language_digests, row_digest
from jaxprune.evaluation.scoring import Scorer, question_scores
from jaxprune.evaluation.tasks import Question, Source, Task, TaskQuestions, load_task, questions
from jaxprune.files import Count, Share, read_as, write_json

# Validation rows for the choice of a pair of layers, as many as in the authors' code.
ROWS = 500
PAIRS = "layers.json"


class _Choice(TypedDict):
    """A pair of layers, and the data of its choice."""

    pair: tuple[Count, Count]
    task: str
    rows: Count
    accuracy: Share


def check_steering(config: SweepConfig) -> None:
    """Rejects a protocol that LRP2 does not score, and data without a validation split, whose rows are the scored ones.

    Raises:
      InputError: names the field.
    """
    data, protocol = config.evaluation.data, protocol_of(config.evaluation, config.compat)
    if protocol not in lrp2.PROTOCOLS:
        raise refusal("evaluation.protocol", protocol, f"{', '.join(lrp2.PROTOCOLS)}, with lrp2")
    sources = {task: load_task(task).source for task in config.evaluation.tasks}
    for where, source in {"evaluation.data": Source(data)}.items() if data else sources.items():
        if source.is_files and "{split}" not in source.data:
            raise InputError(
                f"{where}: the rows are in {source.data!r}; allowed with lrp2: a pattern with {{split}}, as "
                "xnli/{split}/{lang}.jsonl, as layers are chosen on the validation split"
            )


@dataclasses.dataclass(frozen=True)
class SteeringData:
    """The inputs of all languages, read before the first variant.

    Attributes:
      sentences: by language, the first `calibration.samples` of `calibration.data`, whose mean is its vector.
      validation: by language except the target, the rows on which its pair is chosen, of the first task that has it.
    """

    sentences: Mapping[str, Sequence[str]]
    validation: Mapping[str, TaskQuestions]

    @classmethod
    def read(cls, config: SweepConfig, tasks: Sequence[TaskQuestions]) -> "SteeringData":
        """Reads the data of all languages of some tasks.

        Raises:
          InputError: sentences or rows that do not exist or are broken.
        """
        calibration, data, seed = config.calibration, config.evaluation.data, config.seed
        first: dict[str, TaskQuestions] = {}
        for one in tasks:
            first |= dict.fromkeys([code for code in one.languages if code not in first], one)
        lines = {
            code: sentences(calibration.data, code, calibration.lines)[: calibration.samples]
            for code in {calibration.target: None, **first}
        }
        validation = {
            code: dataclasses.replace(
                one, languages={code: validation_rows(one.task, code, one.protocol, data, seed)}
            )
            for code, one in first.items()
            if code != calibration.target
        }
        return cls(lines, validation)

    def digests(self) -> dict[str, str]:
        """SHA-256 of the inputs of each language."""
        rows: dict[str, list[tuple[int, int]]] = {code: [] for code in self.sentences}
        for code, one in self.validation.items():
            rows[code] = [(row_digest(q, one.protocol), q.label) for q in one.languages[code]]
        contents = {code: [lines, rows[code]] for code, lines in self.sentences.items()}
        return language_digests("lrp2 ", contents)


class Steering:
    """Vectors of all languages, and their pairs of layers.

    Args:
      config: of the sweep.
      scorer: of the dense model.
      data: sentences and validation rows.
      folder: gets the pairs.
    """

    def __init__(
        self, config: SweepConfig, scorer: Scorer, data: SteeringData, folder: Path
    ) -> None:
        self._target, self._scorer = config.calibration.target, scorer
        self._vectors = lrp2.language_vectors(scorer, data.sentences)
        self.pairs = self._chosen(data.validation, folder / PAIRS)

    def scores(
        self, code: str, rows: Sequence[Question], protocol: str, name: str
    ) -> Float[np.ndarray, "R C"]:
        """The scores of questions, for `evaluate_all`; the target language is not shifted."""
        if code == self._target:
            return question_scores(self._scorer, rows, protocol, name)
        pairs = [self.pairs[code]]
        [scores] = lrp2.projected_scores(
            self._scorer, rows, self._shift(code), pairs, protocol, name
        )
        return scores

    def _shift(self, code: str) -> Float[np.ndarray, "L D"]:
        return self._vectors[self._target] - self._vectors[code]

    def _chosen(
        self, validation: Mapping[str, TaskQuestions], file: Path
    ) -> dict[str, tuple[int, int]]:
        """The pairs in the file, and found by search for other languages."""
        choices = read_as(dict[str, _Choice], file) or {}
        for code, one in validation.items():
            if code not in choices:
                choices[code] = self._search(one, code)
                file.parent.mkdir(parents=True, exist_ok=True)
                write_json(file, choices)
        return {code: (entry["pair"][0], entry["pair"][1]) for code, entry in choices.items()}

    def _search(self, task_questions: TaskQuestions, code: str) -> _Choice:
        rows = task_questions.languages[code]
        accuracies = lrp2.search(
            self._scorer, rows, self._shift(code), task_questions.protocol, f"lrp2 search {code}"
        )
        best = max(accuracies, key=accuracies.__getitem__)  # the first of equally good ones
        return {
            "pair": best, "task": task_questions.task.name, "rows": len(rows), "accuracy": accuracies[best],
        }  # fmt: skip


def validation_rows(
    task: Task, code: str, protocol: str, data: str | None, seed: int
) -> list[Question]:
    """ROWS questions of the validation split, or all if it has fewer, drawn by `seed`."""
    source = dataclasses.replace(task.source, split="validation")
    sections = {name: dataclasses.replace(one, split=None) for name, one in task.sections.items()}
    other = dataclasses.replace(task, source=source, sections=sections)
    rows = questions(other, code, protocol=protocol, data=data, seed=seed)
    order = np.random.default_rng(seed).permutation(len(rows))[:ROWS]
    return [rows[place] for place in order]
