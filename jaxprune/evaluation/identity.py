"""The identity of an evaluation: all inputs besides the model that determine its scores, by name."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.tasks.prompts import Option
from jaxprune.evaluation.translation.results import TRANSLATION
from jaxprune.evaluation.workload import Workload
from jaxprune.hf.model import Model

Identity = dict[str, str | int]
# The key of the identity in evaluation.json.
IDENTITY: Final = "identity"
_CONTENT = "content "


def identities(workload: Workload, model: Model, dtype: str) -> dict[str, Identity]:
    """The identities of an evaluation, by the folder of its scores.

    Args:
      workload: everything to evaluate.
      model: source of the tokenizer.
      dtype: dtype of the weights on the devices.
    """
    by_folder: dict[str, Identity] = {}
    settings: Identity = {"dtype": dtype, "tokenizer": model.tokenizer_digest}

    for task in workload.tasks:
        rows = {
            code: [[q.row, q.label, *map(_option, q.options)] for q in questions]
            for code, questions in task.languages.items()
        }
        sizes: Identity = {f"rows {code}": len(questions) for code, questions in rows.items()}
        sizes |= {"protocol": task.protocol}
        by_folder[task.task.name] = {**settings, **sizes, **_contents(rows)}
    if workload.texts:
        parts = {code: [text, text.starts] for code, text in workload.texts.items()}
        by_folder[PERPLEXITY] = {**settings, **_contents(parts)}
    if sentences := workload.sentences:
        pairs = {code: [*s.pairs, *s.demonstrations] for code, s in sentences.items()}
        first = next(iter(sentences.values()))
        by_folder[TRANSLATION] = {
            **settings,
            "target": first.target,
            "shots": len(first.demonstrations),
            **_contents(pairs),
        }
    return by_folder


def content_digests(identity: Identity) -> dict[str, str]:
    """SHA-256 of the content, by language."""
    return {
        name.removeprefix(_CONTENT): str(digest)
        for name, digest in identity.items()
        if name.startswith(_CONTENT)
    }


def _option(option: Option) -> list[Any]:
    return [option.context, option.continuation, option.row_spans]


def _contents(contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The languages, and the SHA-256 of contents, which JSON can represent, by language."""
    digests: Identity = {
        f"{_CONTENT}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
    return {"languages": ",".join(sorted(contents)), **digests}
