"""What must be the same for two evaluations to be one: what a model is asked, by content and by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.evaluation.records import TaskQuestions
from jaxprune.evaluation.tasks import Option
from jaxprune.evaluation.translation import Sentences

Identity = dict[str, str | int]
# Its key in metrics.json.
IDENTITY = "identity"
_CONTENT = "content "


def of_task(asked: TaskQuestions, dtype: str) -> Identity:
    """Of the questions of a task."""
    by_language = {
        code: [[question.row, question.label, *map(_option, question.options)] for question in rows]
        for code, rows in asked.languages.items()
    }
    return {"protocol": asked.protocol, "dtype": dtype, **_by_language("rows", by_language)}


def of_texts(texts: Mapping[str, str], dtype: str) -> Identity:
    """Of plain text by language, whose perplexity is measured."""
    return {"dtype": dtype, **_by_language("characters", texts)}


def of_translation(languages: Mapping[str, Sentences], beams: int, dtype: str) -> Identity:
    """Of sentences by language that are translated."""
    first = next(iter(languages.values()))
    how: Identity = {"target": first.target, "shots": len(first.demonstrations), "beams": beams}
    texts = {code: [*one.pairs, *one.demonstrations] for code, one in languages.items()}
    return {**how, "dtype": dtype, **_by_language("sentences", texts)}


def content_digests(identity: Identity) -> dict[str, str]:
    """By language SHA-256 of what is asked."""
    return {
        name.removeprefix(_CONTENT): str(digest)
        for name, digest in identity.items()
        if name.startswith(_CONTENT)
    }


def _option(option: Option) -> list[Any]:
    return [option.context, option.continuation, option.row_spans]


def _by_language(unit: str, contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The languages, how much each is asked, and SHA-256 of it."""
    sizes = {f"{unit} {code}": len(content) for code, content in contents.items()}
    digests = {
        f"{_CONTENT}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
    return {"languages": ",".join(sorted(contents)), **sizes, **digests}
