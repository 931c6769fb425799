"""Questions → token ids of their options → scores, by a protocol (`tasks/protocols.py`)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxprune.base.errors import InputError
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks.protocols import PROTOCOLS
from jaxprune.evaluation.tasks.questions import Question
from jaxprune.hf.model import Model

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Encoded(NamedTuple):
    """Token ids of each option, and the index of the first scored one."""

    sequences: list[list[int]]
    starts: list[int]


def question_scores(
    scorer: Scorer, questions: Sequence[Question], protocol: str, name: str
) -> Float[np.ndarray, "R C"]:
    """Scores of the options of every question, float32; higher is likelier.

    Args:
      questions: at least one, all with the same number of options.
      protocol: paper, official or lm_eval.
      name: name of the task and language, for the progress bar and messages.

    Raises:
      InputError: an option without a scored token, or with more tokens than the model has positions; names the row.
    """
    encoded = encode_questions(scorer.model, questions, protocol, name)
    scores = scorer(*encoded, name)
    sums = np.array([tokens.log_probabilities.sum(dtype=np.float64) for tokens in scores])
    return option_scores(sums, encoded, protocol, len(questions[0].options))


def encode_questions(
    model: Model, questions: Sequence[Question], protocol: str, name: str
) -> Encoded:
    """The options of all questions in order; arguments and errors as for `question_scores`."""
    options = [option for question in questions for option in question.options]
    if PROTOCOLS[protocol].after_context:
        encoded = encode_pairs(model.tokenizer, [(o.context, o.continuation) for o in options])
    else:
        texts = [option.context + option.continuation for option in options]
        tokens = model.tokenizer(texts, verbose=False)["input_ids"]
        encoded = Encoded(tokens, [1] * len(texts))
    columns = len(questions[0].options)
    limit = model.config.max_positions
    for place, (sequence, start) in enumerate(zip(*encoded, strict=True)):
        where = f"{name}: row {questions[place // columns].row} option {place % columns}"
        if len(sequence) <= start:
            raise InputError(
                f"{where} has {len(sequence)} tokens and scores from number {start} on; expected "
                "one token to score or more"
            )
        if limit is not None and len(sequence) > limit:
            raise InputError(
                f"{where} has {len(sequence)} tokens; expected {limit}, the model's positions"
            )
    return encoded


def option_scores(
    sums: Float[np.ndarray, "... S"], encoded: Encoded, protocol: str, columns: int
) -> Float[np.ndarray, "... R C"]:
    """Scores of options, float32, from their summed log-probabilities; `columns` options a question."""
    divisor = PROTOCOLS[protocol].divisor
    divisors = [divisor(len(sequence)) for sequence in encoded.sequences]
    scores = (sums / divisors).astype(np.float32)
    return scores.reshape(*sums.shape[:-1], -1, columns)


def encode_pairs(tokenizer: "PreTrainedTokenizerBase", pairs: Sequence[tuple[str, str]]) -> Encoded:
    """Tokenises (context, continuation) like lm-evaluation-harness 0.4.13 for a causal model.

    White space at the end of the context is part of the continuation. Both are tokenised as one text, which is split
    at the number of tokens of the context alone. An empty context is replaced by the tokenizer's BOS, or by EOS if it
    has no BOS, and the continuation is tokenised without special tokens.
    """
    texts = [context + continuation for context, continuation in pairs]
    contexts = [context.rstrip() for context, _ in pairs]
    whole, before = (tokenizer(lines, verbose=False)["input_ids"] for lines in (texts, contexts))
    bare = whole
    if "" in contexts:
        bare = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return Encoded(
        [
            tokens if context else _after_prefix(tokenizer, continuation)
            for context, tokens, continuation in zip(contexts, whole, bare, strict=True)
        ],
        [len(ids) if context else 1 for context, ids in zip(contexts, before, strict=True)],
    )


def _after_prefix(tokenizer: "PreTrainedTokenizerBase", tokens: list[int]) -> list[int]:
    prefix = prefix_token(tokenizer)
    return tokens if tokens[:1] == [prefix] else [prefix, *tokens]


def prefix_token(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The token that replaces an empty context: BOS, or EOS if the tokenizer has no BOS.

    Raises:
      InputError: the tokenizer has neither.
    """
    prefix = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    if prefix is None:
        raise InputError(
            "the tokenizer has neither BOS nor EOS, which replace an empty context in lm_eval; use protocol paper"
        )
    return prefix
