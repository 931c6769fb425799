"""The identity of an evaluation: everything that decides its scores besides the model, by name."""

from __future__ import annotations

import functools
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
    """The data of an evaluation: tasks, and by language texts and sentences to translate; any may be empty."""

    tasks: Sequence[TaskQuestions]
    texts: Mapping[str, str]
    sentences: Mapping[str, Sentences]

    def of(self, languages: Mapping[str, Sequence[str]]) -> Workload:
        """The part with these languages, given by the folder of their scores."""
        return Workload(
            [one.of(languages[one.task.name]) for one in self.tasks if one.task.name in languages],
            {code: self.texts[code] for code in languages.get(PERPLEXITY, ())},
            {code: self.sentences[code] for code in languages.get(TRANSLATION, ())},
        )


def identities(workload: Workload, config: EvaluateConfig) -> dict[str, Identity]:
    """The identities of an evaluation, by the folder of its scores."""
    found: dict[str, Identity] = {}
    by_language = functools.partial(_by_language, config.dtype)
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
            "beams": config.evaluation.beams,
            **by_language("sentences", pairs),
        }
    return found


def content_digests(identity: Identity) -> dict[str, str]:
    """SHA-256 of the content, by language."""
    return {
        name.removeprefix(_CONTENT): str(digest)
        for name, digest in identity.items()
        if name.startswith(_CONTENT)
    }


def _option(option: Option) -> list[Any]:
    return [option.context, option.continuation, option.row_spans]


def _by_language(dtype: str, unit: str, contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The dtype, the languages, and the size and SHA-256 of the content of each."""
    sizes = {f"{unit} {code}": len(content) for code, content in contents.items()}
    digests = {
        f"{_CONTENT}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
    return {"dtype": dtype, "languages": ",".join(sorted(contents)), **sizes, **digests}
