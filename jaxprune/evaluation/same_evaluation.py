"""Two evaluations → check that they evaluated the same inputs, as far as both recorded them."""

from typing import Any

from jaxprune.base.errors import InputError
from jaxprune.base.workdir.differences import shortened
from jaxprune.evaluation.evaluation import Evaluation
from jaxprune.evaluation.identity import IDENTITY


def check_same(base: Evaluation, run: Evaluation) -> None:
    """Rejects runs that evaluated other inputs, such as a language's text, in another dtype or by another protocol.

    The tokenizers and the languages may differ.

    Raises:
      InputError: names the evaluation, the language and the value.
    """
    for name in sorted(base.parts.keys() & run.parts.keys()):
        a, b = (_settings(evaluation, name) for evaluation in (base, run))
        for key in a:
            if (
                key not in ("languages", "tokenizer")
                and None not in (a[key], b.get(key))
                and a[key] != b[key]
            ):
                kind, _, code = key.partition(" ")  # such as "content fr"
                raise InputError(
                    f"{name}{code and f'/{code}'}: {kind} {shortened(a[key])} in {base.name} and "
                    f"{shortened(b[key])} in {run.name}; expected the same in both"
                )


def other_tokenizer(base: Evaluation, run: Evaluation) -> bool:
    """Whether the tokenizers of an evaluation differ."""
    pairs = [
        [_settings(evaluation, name).get("tokenizer") for evaluation in (base, run)]
        for name in base.parts.keys() & run.parts.keys()
    ]
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _settings(evaluation: Evaluation, name: str) -> dict[str, Any]:
    """The recorded inputs and settings of a part of an evaluation."""
    facts = evaluation.parts[name].facts
    return {**facts.get(IDENTITY, {}), **{key: facts.get(key) for key in ("protocol", "labels")}}
