"""The content of an evaluation → its identity: two evaluations with equal identities are one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxprune.evaluation.config import EvaluateConfig
from jaxprune.evaluation.records import TaskQuestions
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.evaluation.tasks import Option
from jaxprune.evaluation.translation import TRANSLATION, Sentences

Identity = dict[str, str | int]
# The key of the identity in metrics.json.
IDENTITY = "identity"
_CONTENT = "content "


def identities(
    tasks: Iterable[TaskQuestions],
    texts: Mapping[str, str],
    sentences: Mapping[str, Sentences],
    config: EvaluateConfig,
) -> dict[str, Identity]:
    """The identity of each evaluation, by the folder of its scores.

    Args:
      tasks: with their questions.
      texts: plain text by language, whose perplexity is measured; empty for none.
      sentences: by language, to be translated; empty for none.
      config: validated.
    """
    dtype = config.dtype
    asked = {one.task.name: _of_task(one, dtype) for one in tasks}
    if texts:
        asked[PERPLEXITY] = {"dtype": dtype, **_by_language("characters", texts)}
    if sentences:
        asked[TRANSLATION] = _of_translation(sentences, config.evaluation.beams, dtype)
    return asked


def _of_task(asked: TaskQuestions, dtype: str) -> Identity:
    by_language = {
        code: [[question.row, question.label, *map(_option, question.options)] for question in rows]
        for code, rows in asked.languages.items()
    }
    return {"protocol": asked.protocol, "dtype": dtype, **_by_language("rows", by_language)}


def _of_translation(languages: Mapping[str, Sentences], beams: int, dtype: str) -> Identity:
    first = next(iter(languages.values()))
    how: Identity = {"target": first.target, "shots": len(first.demonstrations), "beams": beams}
    texts = {code: [*one.pairs, *one.demonstrations] for code, one in languages.items()}
    return {**how, "dtype": dtype, **_by_language("sentences", texts)}


def content_digests(identity: Identity) -> dict[str, str]:
    """SHA-256 by language of the content of an evaluation."""
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
