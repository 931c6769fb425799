"""The identity of an evaluation: everything that decides its scores besides the model, by name."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jaxprune.evaluation.scoring import PERPLEXITY, PlainText
from jaxprune.evaluation.tasks import Option, Question, TaskQuestions
from jaxprune.evaluation.translation import TRANSLATION, Sentences
from jaxprune.hf import Model

Identity = dict[str, str | int]
# The key of the identity in metrics.json.
IDENTITY = "identity"
_CONTENT = "content "


@dataclass(frozen=True)
class Workload:
    """The data of an evaluation: tasks, and by language texts and sentences to translate; any may be empty."""

    tasks: Sequence[TaskQuestions]
    texts: Mapping[str, PlainText]
    sentences: Mapping[str, Sentences]

    def of(self, languages: Mapping[str, Sequence[str]]) -> Workload:
        """The part with these languages, given by the folder of their scores."""
        return Workload(
            [one.of(languages[one.task.name]) for one in self.tasks if one.task.name in languages],
            {code: self.texts[code] for code in languages.get(PERPLEXITY, ())},
            {code: self.sentences[code] for code in languages.get(TRANSLATION, ())},
        )


def identities(workload: Workload, model: Model, dtype: str, beams: int = 1) -> dict[str, Identity]:
    """The identities of an evaluation, by the folder of its scores.

    Args:
      workload: everything to evaluate.
      model: gives the tokenizer.
      dtype: of the weights on the devices.
      beams: of a translation.
    """
    found: dict[str, Identity] = {}
    settings: Identity = {"dtype": dtype, "tokenizer": model.tokenizer_digest}
    by_language = functools.partial(_by_language, settings)
    for task in workload.tasks:
        rows = {
            code: [[one.row, one.label, *map(_option, one.options)] for one in asked]
            for code, asked in task.languages.items()
        }
        found[task.task.name] = {"protocol": task.protocol, **by_language("rows", rows)}
    if workload.texts:
        found[PERPLEXITY] = by_language("characters", workload.texts)
    if sentences := workload.sentences:
        pairs = {code: [*one.pairs, *one.demonstrations] for code, one in sentences.items()}
        first = next(iter(sentences.values()))
        found[TRANSLATION] = {
            "target": first.target,
            "shots": len(first.demonstrations),
            "beams": beams,
            **_digests("demonstrations ", {c: one.demonstrations for c, one in sentences.items()}),
            **by_language("sentences", pairs),
        }
    return found


def row_digest(question: Question, protocol: str) -> int:
    """64 bits of the SHA-256 of what a row has the model score: the texts of its options, under a protocol."""
    content = json.dumps([protocol, *map(_option, question.options)])
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8])


def content_digests(identity: Identity) -> dict[str, str]:
    """SHA-256 of the content, by language."""
    return {
        name.removeprefix(_CONTENT): str(digest)
        for name, digest in identity.items()
        if name.startswith(_CONTENT)
    }


def _option(option: Option) -> list[Any]:
    return [option.context, option.continuation, option.row_spans]


def _by_language(settings: Identity, unit: str, contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The settings, the languages, and the size and SHA-256 of the content of each."""
    sizes = {f"{unit} {code}": len(content) for code, content in contents.items()}
    languages = ",".join(sorted(contents))
    return {**settings, "languages": languages, **sizes, **_digests(_CONTENT, contents)}


def _digests(prefix: str, contents: Mapping[str, Sequence[Any]]) -> Identity:
    """SHA-256 by language, with a prefix."""
    return {
        f"{prefix}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
