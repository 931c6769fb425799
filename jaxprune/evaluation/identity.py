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
      model: gives the tokenizer.
      dtype: of the weights on the devices.
    """
    found: dict[str, Identity] = {}
    settings: Identity = {"dtype": dtype, "tokenizer": model.tokenizer_digest}

    for task in workload.tasks:
        rows = {
            code: [[one.row, one.label, *map(_option, one.options)] for one in questions]
            for code, questions in task.languages.items()
        }
        sizes: Identity = {f"rows {code}": len(of_code) for code, of_code in rows.items()}
        found[task.task.name] = {**settings, **sizes, "protocol": task.protocol, **_contents(rows)}
    if workload.texts:
        parts = {code: [text, text.starts] for code, text in workload.texts.items()}
        found[PERPLEXITY] = {**settings, **_contents(parts)}
    if sentences := workload.sentences:
        pairs = {code: [*one.pairs, *one.demonstrations] for code, one in sentences.items()}
        first = next(iter(sentences.values()))
        found[TRANSLATION] = {
            **settings,
            "target": first.target,
            "shots": len(first.demonstrations),
            **_contents(pairs),
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


def _contents(contents: Mapping[str, Sequence[Any]]) -> Identity:
    """The languages, and the SHA-256 of contents, which JSON can represent, by language."""
    digests: Identity = {
        f"{_CONTENT}{code}": hashlib.sha256(json.dumps(content).encode()).hexdigest()
        for code, content in contents.items()
    }
    return {"languages": ",".join(sorted(contents)), **digests}
