"""Plain text by language → perplexity of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxprune.calibration import NANO_ROWS
from jaxprune.errors import InputError
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks import decode
from jaxprune.nano import corpus

WINDOW = 512
PERPLEXITY = "perplexity"  # the folder of its figures


class Perplexity(NamedTuple):
    """Perplexity of a text.

    Attributes:
      perplexity: exp of minus the mean log-probability.
      tokens: that have a prediction, over which the mean is taken.
      windows: how many the text was cut into.
    """

    perplexity: float
    tokens: int
    windows: int


def perplexity(scorer: Scorer, text: str, name: str = "perplexity") -> Perplexity:
    """Perplexity of a text that is tokenised as one and cut into windows, each scored alone.

    A window has WINDOW tokens, or as many as the model has positions if these are fewer; its first token
    has no prediction. What is left over behind the last whole window does not count, unless it
    is all that there is.

    Args:
      name: on the progress bar and in messages.

    Raises:
      InputError: a text of fewer than two tokens.
    """
    config = scorer.model.config
    width = min(WINDOW, config.max_positions or WINDOW)
    tokens = scorer.model.tokenizer(text, verbose=False)["input_ids"]
    if len(tokens) < 2:
        raise InputError(f"{name}: a text of {len(tokens)} tokens; allowed: at least 2")
    ends = range(width, len(tokens) + 1, width) or [len(tokens)]
    windows = [tokens[max(0, end - width) : end] for end in ends]
    log_probabilities = np.concatenate([s.log_probabilities for s in scorer(windows, name=name)])
    mean = log_probabilities.mean(dtype=np.float64)
    if math.isnan(mean):
        raise InputError(f"{name}: the model says NaN, which comes of overflow in it")
    # of a destroyed model too it is a number that JSON can hold
    return Perplexity(math.exp(min(-mean, 700.0)), len(log_probabilities), len(windows))


def texts(data: str, languages: list[str] | None, lines: int | None) -> dict[str, str]:
    """Plain text by language.

    Args:
      data: a folder of `<language>.txt`, or "nano": held-out sentences of the bundled corpus, each
        after the name of its language and before "</s>", as its models have read them.
      languages: all that there are by default, English first.
      lines: how many, the first ones; all by default, and 1,000 of "nano".

    Raises:
      InputError: no such folder or language (lists those there are), no UTF-8 (names the line).
    """
    if data == "nano":
        codes = languages or list(corpus.LANGUAGES)
        count = NANO_ROWS if lines is None else lines
        return {code: _nano(code, count) for code in codes}
    folder = Path(data).expanduser()
    codes = sorted(
        (file.stem for file in folder.glob("*.txt")), key=lambda code: (code != "en", code)
    )
    if not codes:
        raise InputError(
            f"evaluation.perplexity: got {data!r}; allowed: a folder of <language>.txt, or nano"
        )
    by_language = {}
    for code in languages or codes:
        if code not in codes:
            raise InputError(f"{folder}: no language {code!r}; there are {' '.join(codes)}")
        all_lines = decode(folder / f"{code}.txt").removesuffix("\n").split("\n")
        by_language[code] = "\n".join(all_lines[:lines])
    return by_language


def _nano(code: str, count: int) -> str:
    lines = corpus.sentences(code, "held_out", count)
    return "".join(f"{corpus.LANGUAGES[code]}: {line}{corpus.EOS}" for line in lines)
