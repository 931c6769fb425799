"""Plain text by language → its perplexity."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int, Real

from jaxprune.base.errors import InputError, invalid_value, listed
from jaxprune.base.files.outside import read_text
from jaxprune.base.files.places import local_path
from jaxprune.data.line_range import lines_of
from jaxprune.data.nano import NANO, NANO_LANGUAGES, text_place
from jaxprune.data.texts import documents
from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.scoring.scorer import Scorer
from jaxprune.evaluation.tasks.data import Source
from jaxprune.hf.model import Model

WINDOW = 512
PERPLEXITY: Final = "perplexity"  # the folder of the figures
# The largest logarithm of a perplexity, which a destroyed model has: finite, as JSON has no infinity.
LARGEST_LOG = 700.0


class Perplexity(NamedTuple):
    """The log-probabilities of a text, in `perplexity/<language>.npz`.

    Attributes:
      total: log-probability of all predicted tokens.
      tokens: number of predicted tokens.
      bytes: size of the predicted tokens' text in UTF-8.
      part_sums, part_tokens, part_bytes: [P] log-probability, tokens and bytes of each part of the text, a document or
        ten lines (`PlainText`).
    """

    total: float
    tokens: int
    bytes: int
    part_sums: Float[np.ndarray, " P"]
    part_tokens: Int[np.ndarray, " P"]
    part_bytes: Int[np.ndarray, " P"]

    @property
    def perplexity(self) -> float:
        """Exp of minus the mean log-probability of a token, at most exp(LARGEST_LOG)."""
        return math.exp(min(-self.total / self.tokens, LARGEST_LOG))

    @property
    def bits_per_byte(self) -> float:
        """Minus the log-probability in bits over the bytes, comparable between tokenizers."""
        return -self.total / math.log(2) / self.bytes

    def first_parts(self, count: int) -> "Perplexity":
        """The log-probabilities of the first parts of the text."""
        sums, tokens, sizes = (
            values[:count] for values in (self.part_sums, self.part_tokens, self.part_bytes)
        )
        total = float(sums.sum(dtype=np.float64))
        return Perplexity(total, int(tokens.sum()), int(sizes.sum()), sums, tokens, sizes)

    @property
    def part_values(self) -> Float[np.ndarray, " P"]:
        """`values_of_parts` of the log-probabilities of tokens."""
        return values_of_parts(self.part_sums, self.part_tokens)


def perplexity_measurements(
    source: tuple[str, str, str], by_language: Mapping[str, Perplexity]
) -> list[Measurement]:
    """Perplexity and bits per byte by language; `source` has the names of the run, the model and the task."""
    measured = []
    for code, text in by_language.items():
        figures = {"perplexity": text.perplexity, "bits_per_byte": text.bits_per_byte}
        measured += [
            Measurement(*source, code, measure, value, None, None, text.tokens)
            for measure, value in figures.items()
        ]
    return measured


def values_of_parts(
    sums: Float[np.ndarray, " P"], sizes: Real[np.ndarray, " P"]
) -> Float[np.ndarray, " P"]:
    """A value for each part of a text; their mean and its deviation are those of the mean over all units.

    Parts have different numbers of units: with the mean m over all units, a part of n units and the sum s has
    m + (parts / units)(s - m n), as in `metrics.cluster_values`.
    """
    mean = sums.sum() / sizes.sum()
    return mean + len(sums) / sizes.sum() * (sums - mean * sizes)


class PlainText(str):
    """A text with its parts, which the intervals of its perplexity assume to be independent.

    Attributes:
      starts: index of the first character of each part.
      lines: lines of the text, or rows.
    """

    starts: tuple[int, ...] = ()
    lines: Sequence[str] = ()

    @classmethod
    def joined(cls, lines: Sequence[str], parts: Sequence[Any], *, between: str) -> "PlainText":
        """The lines joined by `between`; `parts` names the part of each line."""
        text = cls(between.join(lines))
        text.lines = lines
        places = accumulate((len(line) + len(between) for line in lines), initial=0)
        firsts = zip(parts, (None, *parts), places, strict=False)
        text.starts = tuple(place for part, before, place in firsts if part != before)
        return text


def perplexity(scorer: Scorer, text: str, name: str = "perplexity") -> Perplexity:
    """Perplexity of a text that is tokenised as a unit and scored in independent windows.

    A window has WINDOW tokens, or as many as the model has positions if these are fewer; its first token has no
    prediction. If the tokenizer begins a text with a special token, each window begins with it, as models such as Gemma
    were trained only on text after a BOS. An incomplete last window does not count, unless it is the only one.

    Args:
      name: name on the progress bar and in messages.

    Raises:
      InputError: a text of fewer than two tokens; a tokenizer without character offsets.
    """
    tokenizer, starts = scorer.model.tokenizer, text.starts if isinstance(text, PlainText) else (0,)
    if not tokenizer.is_fast:
        raise InputError(
            f"{name}: the tokenizer has no character offsets of tokens; use a fast tokenizer"
        )
    encoded = tokenizer(text, verbose=False, return_offsets_mapping=True)
    tokens = encoded["input_ids"]
    if len(tokens) < 2:
        raise InputError(f"{name}: a text of {len(tokens)} tokens; expected at least 2")
    windows = windows_of(scorer.model, tokens)
    scored = np.concatenate([s.log_probabilities for s in scorer(windows, name=name)])
    total = float(scored.sum(dtype=np.float64))
    if math.isnan(total):
        raise InputError(f"{name}: the model returns NaN, a sign of overflow")

    def predicted(values: Sequence[int]) -> np.ndarray:
        """The values of the scored tokens, from one of each token of the text."""
        value_windows = windows_of(scorer.model, values, first=tokens[0])
        return np.concatenate([window[1:] for window in value_windows])

    begins, ends = zip(*encoded["offset_mapping"], strict=True)
    sizes = predicted(_byte_sizes(text, ends).tolist())
    part_of_token = predicted((np.searchsorted(starts, begins, side="right") - 1).tolist())
    sums, counts = np.bincount(part_of_token, scored), np.bincount(part_of_token)
    is_scored, in_bytes = counts > 0, np.bincount(part_of_token, sizes).astype(int)
    parts = (sums[is_scored], counts[is_scored], in_bytes[is_scored])
    return Perplexity(total, len(scored), int(sizes.sum()), *parts)


def _byte_sizes(text: str, ends: Sequence[int]) -> np.ndarray:
    """The bytes of each token in UTF-8, from the end of the token before to its own, in characters.

    Spaces that a tokenizer drops count too, and a character of several tokens counts once, with the first.
    """
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    sizes = 1 + sum((codes >= first).astype(int) for first in (0x80, 0x800, 0x10000))
    places = np.concatenate([[0], np.cumsum(sizes)])
    return np.diff(places[np.maximum.accumulate(ends)], prepend=0)


def windows_of(model: Model, values: Sequence[int], first: int | None = None) -> list[list[int]]:
    """The windows of a text's tokens, or of values of each token; see `perplexity`.

    Args:
      first: the first token, if these are other values.
    """
    width = min(WINDOW, model.config.max_positions or WINDOW)
    added = model.tokenizer("", verbose=False)["input_ids"]  # BOS, or </s> of XGLM
    front = int((values[0] if first is None else first) in added)
    begin, body, step = [*values[:front]], values[front:], width - front
    ends = range(step, len(body) + 1, step) or [len(body)]
    return [[*begin, *body[max(0, end - step) : end]] for end in ends]


def texts(
    data: str, languages: Sequence[str] | None, first: int | None, lines: str | None = None
) -> dict[str, PlainText]:
    """Plain text by language.

    Its parts are documents if the folder has an `index.tsv` with a column `document`, the document of each line, and
    runs of ten lines otherwise.

    Args:
      data: a folder of `<language>.txt`, whose lines are joined by line breaks; a folder or pattern of .jsonl or .csv
        files, whose fields `text` are concatenated; or "nano", 1,000 held-out sentences in the form of the bundled
        models' training text, "French: le chat dort</s>".
      languages: all available ones by default, English first.
      first: number of lines or rows from the beginning; all by default.
      lines: the first and the last line or row, counted from 0, as "300-499"; replaces `first`.

    Raises:
      InputError: no such folder or language (lists the available ones), no UTF-8 (names the line), a row without text,
        fewer lines than `lines` requires, an index with another number of lines.
    """
    available, folder = text_languages(data), _folder(data)
    by_language: dict[str, PlainText] = {}
    for code in languages or available:
        if code not in available:
            raise InputError(f"{folder}: no language {code!r}; there are {listed(available, ' ')}")
        read, between = _parts(folder, code)
        parts = [*zip(read, documents(folder, len(read)), strict=True)]
        field, where = "evaluation.perplexity_lines", f"{folder}: {code}"
        chosen = parts[:first] if lines is None else lines_of(parts, lines, field, where)
        by_language[code] = PlainText.joined(*zip(*chosen, strict=True), between=between)
    return by_language


def text_languages(data: str) -> list[str]:
    """The languages of plain text, English first; `data` as in `texts`.

    Raises:
      InputError: no such folder.
    """
    folder = _folder(data)
    if data == NANO:
        return [*NANO_LANGUAGES]
    codes = [file.stem for file in folder.glob("*.txt")] or Source(str(folder)).languages()
    if not codes:
        raise invalid_value(
            "evaluation.perplexity", data, "a folder of <language>.txt or .jsonl, or nano"
        )
    return sorted(codes, key=lambda code: (code != "en", code))


def _folder(data: str) -> Path:
    return local_path(text_place(data, "perplexity"))


def _parts(folder: Path, code: str) -> tuple[list[str], str]:
    """Lines or rows, and their separator."""
    file = folder / f"{code}.txt"
    if file.exists():
        return read_text(file).removesuffix("\n").split("\n"), "\n"
    return [row.text("text") for row in Source(str(folder)).read(code)], ""
