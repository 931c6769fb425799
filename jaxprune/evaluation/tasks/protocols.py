"""Protocols: how a task is asked and its options come to a number each; a record each.

"paper" and "official" see what `tokenizer(text)` gives, special tokens included: XGLM's "</s>" in
front is then the token without a prediction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A way to ask.

    Attributes:
      name: value of `evaluation.protocol`.
      meaning: which tokens are scored, and what their log-probabilities are divided by.
      section: the table of a task file that says the prompts.
      divisor: tokens of a whole option → what the sum of its log-probabilities is divided by.
      after_context: only the continuation is scored, given its context; otherwise the whole text but its first token,
        which has no prediction.
      rows: of a language, chosen by a seeded shuffle; None: all, in their order.
    """

    name: str
    meaning: str
    section: str
    divisor: Callable[[int], int]
    after_context: bool = False
    rows: int | None = None


_ALL = (
    Protocol(
        "paper",
        "mean log-probability of the tokens of the whole text but the first, which has no prediction",
        section="paper",
        divisor=lambda tokens: tokens - 1,
    ),
    Protocol(
        "official",
        "the same sum over the number of all tokens, as the authors' code divides, of 1,000 shuffled rows",
        section="paper",
        divisor=lambda tokens: tokens,
        rows=1000,
    ),
    Protocol(
        "lm_eval",
        "sum over the tokens of the continuation given its context, as EleutherAI's harness has it",
        section="lm_eval",
        divisor=lambda tokens: 1,
        after_context=True,
    ),
)
PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
SECTIONS = tuple(dict.fromkeys(protocol.section for protocol in _ALL))
