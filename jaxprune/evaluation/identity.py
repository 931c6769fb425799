"""The identity of an evaluation: everything that a model is asked, by content and by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.tasks import Option, TaskQuestions
from jaxprune.evaluation.translation import TRANSLATION, Sentences

Identity = dict[str, str | int]
# The key of the identity in metrics.json.
IDENTITY = "identity"
_CONTENT = "content "


@dataclass(frozen=True)
class Workload:
    """All that a model is evaluated on: tasks, and by language texts and sentences; empty for none."""

    tasks: Sequence[TaskQuestions]
    texts: Mapping[str, str]
    sentences: Mapping[str, Sentences]

    def of(self, languages: Mapping[str, Sequence[str]]) -> Workload:
        """A part of it: some languages, by the folder of their scores."""
        return Workload(
            [one.of(languages[one.task.name]) for one in self.tasks if one.task.name in languages],
            {code: self.texts[code] for code in languages.get(PERPLEXITY, ())},
            {code: self.sentences[code] for code in languages.get(TRANSLATION, ())},
        )


def identities(workload: Workload, config: EvaluateConfig) -> dict[str, Identity]:
    """The identity of everything that a model is asked, by the folder of its scores."""
    dtype = config.dtype
    asked = {one.task.name: of_task(one, dtype) for one in workload.tasks}
    if workload.texts:
        asked[PERPLEXITY] = of_texts(workload.texts, dtype)
    if workload.sentences:
        asked[TRANSLATION] = of_translation(workload.sentences, config.evaluation.beams, dtype)
    return asked


def of_task(asked: TaskQuestions, dtype: str) -> Identity:
    """The identity of the questions of a task."""
    by_language = {
        code: [[question.row, question.label, *map(_option, question.options)] for question in rows]
        for code, rows in asked.languages.items()
    }
    return {"protocol": asked.protocol, "dtype": dtype, **_by_language("rows", by_language)}


def of_texts(texts: Mapping[str, str], dtype: str) -> Identity:
    """The identity of plain text by language, whose perplexity is measured."""
    return {"dtype": dtype, **_by_language("characters", texts)}


def of_translation(languages: Mapping[str, Sentences], beams: int, dtype: str) -> Identity:
    """The identity of sentences by language that are translated."""
    first = next(iter(languages.values()))
    how: Identity = {"target": first.target, "shots": len(first.demonstrations), "beams": beams}
    texts = {code: [*one.pairs, *one.demonstrations] for code, one in languages.items()}
    return {**how, "dtype": dtype, **_by_language("sentences", texts)}


def content_digests(identity: Identity) -> dict[str, str]:
    """SHA-256 of all that is asked, by language."""
    return {
        name.removeprefix(_CONTENT): str(digest)
        for name, digest in identity.items()
        if name.startswith(_CONTENT)
    }


def _option(option: Option) -> list[Any]:
    return [option.context, option.continuation, option.row_spans]


def _by_language(unit: str, contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The languages, and the size and SHA-256 of the content of each."""
    sizes = {f"{unit} {code}": len(content) for code, content in contents.items()}
    digests = {
        f"{_CONTENT}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
    return {"languages": ",".join(sorted(contents)), **sizes, **digests}
