"""Protocols: one record each for the prompts of a task and the score of an option.

"paper" and "official" score the tokens of `tokenizer(text)`, with special tokens: XGLM's leading "</s>" is then
the token without a prediction.
"""

import dataclasses
from collections.abc import Callable, Mapping


@dataclasses.dataclass(frozen=True)
class Protocol:
    """A way to prompt and to score.

    Attributes:
      section: the table of a task file with the prompts.
      divisor: number of tokens of an option → divisor of the sum of its log-probabilities.
      after_context: whether only the continuation is scored, given its context; otherwise all tokens but the first,
        which has no prediction.
      rows: number of rows per language, chosen by a seeded shuffle; None: all, in order.
    """

    section: str
    divisor: Callable[[int], int]
    after_context: bool = False
    rows: int | None = None


# By the value of `evaluation.protocol`.
PROTOCOLS: Mapping[str, Protocol] = {
    # mean log-probability of all tokens but the first, which has no prediction
    "paper": Protocol("paper", lambda tokens: tokens - 1),
    # the same sum divided by the number of all tokens, as in the authors' code, for 1,000 shuffled rows
    "official": Protocol("paper", lambda tokens: tokens, rows=1000),
    # sum over the tokens of the continuation given its context, as in EleutherAI's harness
    "lm_eval": Protocol("lm_eval", lambda tokens: 1, after_context=True),
}
SECTIONS = tuple(dict.fromkeys(protocol.section for protocol in PROTOCOLS.values()))
