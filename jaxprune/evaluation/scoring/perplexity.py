"""Plain text by language → perplexity of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta

from jaxprune.calibration import lines_of, text_place
from jaxprune.errors import InputError, listed, refusal
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks import Source
from jaxprune.files import Count, read_text

WINDOW = 512
PERPLEXITY = "perplexity"  # the folder of its figures


@dataclass(frozen=True)
class Perplexity:
    """Perplexity of a text, as metrics.json has it too.

    Attributes:
      perplexity: exp of minus the mean log-probability.
      tokens: number of tokens with a prediction, over which the mean is taken.
      windows: how many the text was cut into; 0 in a metrics.json without that number.
      by_window: mean log-probability of each, in order; all have as many tokens. Empty in older files.
    """

    perplexity: Annotated[float, Meta(gt=0, le=1e308)]
    tokens: Count
    windows: Count = 0
    by_window: tuple[Annotated[float, Meta(ge=-1e308, le=1e308)], ...] = ()


def perplexity(scorer: Scorer, text: str, name: str = "perplexity") -> Perplexity:
    """Perplexity of a text that is tokenised as one and cut into windows, each scored alone.

    A window has WINDOW tokens, or as many as the model has positions if these are fewer; its first token
    has no prediction. Where the tokenizer puts a BOS in front of the text, each window begins with one, as models
    such as Gemma were trained on no text without it. Tokens after the last whole window do not count, unless there
    is no whole window.

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
    windows = _windows(tokens, width, scorer.model.tokenizer.bos_token_id)
    scores = [one.log_probabilities for one in scorer(windows, name=name)]
    mean = np.concatenate(scores).mean(dtype=np.float64)
    if math.isnan(mean):
        raise InputError(f"{name}: the model says NaN, which comes of overflow in it")
    # of a destroyed model too it is a number that JSON can hold
    by_window = tuple(float(one.mean(dtype=np.float64)) for one in scores)
    tokens_scored = sum(map(len, scores))
    return Perplexity(math.exp(min(-mean, 700.0)), tokens_scored, len(windows), by_window)


def _windows(tokens: list[int], width: int, bos: int | None) -> list[list[int]]:
    front = tokens[:1] if tokens[0] == bos else []
    body, step = tokens[len(front) :], width - len(front)
    ends = range(step, len(body) + 1, step) or [len(body)]
    return [front + body[max(0, end - step) : end] for end in ends]


def texts(
    data: str, languages: list[str] | None, first: int | None, lines: str | None = None
) -> dict[str, str]:
    """Plain text by language.

    Args:
      data: a folder of `<language>.txt`, whose lines are joined by line breaks; a folder or pattern of
        .jsonl or .csv files, whose field `text` is joined without anything between; or "nano", 1,000
        held-out sentences in the form of the bundled models' training text, "French: le chat dort</s>".
      languages: all that there are by default, English first.
      first: how many lines or rows, the first ones; all by default.
      lines: the first and the last line or row, from 0, as "300-499", in place of `first`.

    Raises:
      InputError: no such folder or language (lists those there are), no UTF-8 (names the line), a row
        without text, fewer lines than `lines` names.
    """
    there, folder = text_languages(data), _folder(data)
    by_language = {}
    for code in languages or there:
        if code not in there:
            raise InputError(f"{folder}: no language {code!r}; there are {listed(there, ' ')}")
        parts, between = _parts(folder, code)
        field, where = "evaluation.perplexity_lines", f"{folder}: {code}"
        chosen = parts[:first] if lines is None else lines_of(parts, lines, field, where)
        by_language[code] = between.join(chosen)
    return by_language


def text_languages(data: str) -> list[str]:
    """The languages that there is plain text of, English first; `data` as in `texts`.

    Raises:
      InputError: no such folder.
    """
    folder = _folder(data)
    codes = [file.stem for file in folder.glob("*.txt")] or Source(str(folder)).languages()
    if not codes:
        raise refusal(
            "evaluation.perplexity", data, "a folder of <language>.txt or .jsonl, or nano"
        )
    in_order = sorted(codes, key=lambda code: (code != "en", code))
    return list(text_place(data, "perplexity").languages) or in_order


def _folder(data: str) -> Path:
    return Path(text_place(data, "perplexity").data).expanduser()


def _parts(folder: Path, code: str) -> tuple[list[str], str]:
    """Lines or rows, and what stands between them."""
    file = folder / f"{code}.txt"
    if file.exists():
        return read_text(file).removesuffix("\n").split("\n"), "\n"
    return [row.text("text") for row in Source(str(folder)).read(code)], ""
