"""Few-shot translation into English: sentences → prompts → hypotheses, as the paper translates XNLI.

A prompt is a calibration sample with an open end, the same demonstrations for every sentence:
"French: …</s>English: …</s> … French: {sentence}</s>English:". What follows, up to eos or a line break, is the
hypothesis.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxprune.calibration import (
    aligned,
    chosen_languages,
    language,
    prompts,
    sample_lines,
    text_place,
)
from jaxprune.errors import InputError
from jaxprune.evaluation.generation import Generator
from jaxprune.evaluation.tasks import Source, load_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

NEW_TOKENS = 128
XNLI = ("xnli", "facebook/xnli")


class Pair(NamedTuple):
    """A sentence and its translation."""

    source: str
    target: str


@dataclasses.dataclass(frozen=True)
class Sentences:
    """Sentences of one language, and the demonstrations that they are translated with.

    Attributes:
      source, target: ISO 639-1 codes.
      demonstrations: what every prompt begins with.
      pairs: what is translated, and the references.
    """

    source: str
    target: str
    demonstrations: list[Pair]
    pairs: list[Pair]


def read_sentences(
    data: str | Path,
    source: str,
    target: str = "en",
    *,
    shots: int = 4,
    shots_data: str | Path | None = None,
    shots_lines: str | None = None,
    rows: int | None = None,
    seed: int = 0,
) -> Sentences:
    """Reads demonstrations and sentences of one language; none is both.

    Args:
      data: sentences to translate. A folder or pattern of XNLI's .jsonl or .csv, or "xnli" for the hub's:
        its premises and hypotheses, each once. Otherwise as in `texts.sentences`: a folder of
        `<language>.txt`, FLORES-200, a hub data set id; "nano" is 1,000 sentences that the bundled models
        have not read.
      source, target: ISO 639-1 codes.
      shots: demonstrations.
      shots_data: where they come from, as in `texts.sentences`; by default from `data`, if that is no XNLI.
      shots_lines: which of these lines, as in `texts.sentences`; all by default.
      rows: sentences to translate, the first ones that are no demonstrations; all by default.
      seed: which lines are demonstrations.

    Raises:
      InputError: data that cannot be read or are too few.
      OSError: the hub cannot be reached.
    """
    if language(source) == language(target):
        raise InputError(f"target: got {target!r}, the source; allowed: another language")
    demonstrations: list[Pair] = []
    if shots:
        if shots_data is None and _nli_source(data) is not None:
            raise InputError(f"shots_data: not set; {data} has no demonstrations for translation")
        known = _lines(shots_data or data, source, target, shots_lines)
        chosen = sample_lines(len(known), "translation", shots, 1, seed, "corrected")[0]
        demonstrations = [known[row] for row in chosen]
    shown = {sentence for pair in demonstrations for sentence in pair}
    pairs = [
        pair
        for pair in _pairs(data, source, target)
        if pair.source not in shown and pair.target not in shown
    ]
    if rows is not None and len(pairs) < rows:
        raise InputError(f"rows: got {rows}; {data} has {len(pairs)} besides the demonstrations")
    if not pairs:
        raise InputError(f"{data}: no sentences besides the demonstrations")
    return Sentences(source, target, demonstrations, pairs[:rows])


def _lines(data: str | Path, source: str, target: str, lines: str | None = None) -> list[Pair]:
    texts = aligned(data, [source, target], lines)
    return [Pair(*sentences) for sentences in zip(*texts, strict=True)]


def _pairs(data: str | Path, source: str, target: str) -> list[Pair]:
    data = text_place(data, "translation").data
    nli = _nli_source(data)
    if nli is None:
        return _lines(data, source, target)
    theirs, ours = (nli.read(code) for code in (source, target))
    if len(theirs) != len(ours):
        raise InputError(
            f"{data}: {source} has {len(theirs)} rows and {target} has {len(ours)}; "
            "row i must say the same in both"
        )
    pairs = [
        Pair(row.text(field).strip(), right.text(field).strip())
        for row, right in zip(theirs, ours, strict=True)
        for field in ("premise", "hypothesis")
    ]
    return list(dict.fromkeys(pairs))  # three rows share a premise


def _nli_source(data: str | Path) -> Source | None:
    """The rows of an NLI set, or None where `data` holds plain sentences."""
    if str(data) in XNLI:
        return load_task("xnli").source
    source = Source(str(data))
    return source if source.is_files else None


def languages(data: str | Path, target: str = "en") -> list[str]:
    """The languages that `data` can be translated from: those of XNLI or its files, or as `chosen_languages`."""
    source = _nli_source(data)
    if str(data) in XNLI:
        codes = list(load_task("xnli").languages)
    elif source is not None and source.is_folder:
        codes = sorted(source.languages() or [])
    else:
        codes = chosen_languages(None, data, target)
    return [code for code in codes if code != target]


def translation_prompts(
    demonstrations: Sequence[Pair], queries: Sequence[str], source: str, target: str, eos: str
) -> list[str]:
    """The prompt of each query."""
    lines = [[pair.source for pair in demonstrations], [pair.target for pair in demonstrations]]
    beginning = prompts(lines, [source, target], np.arange(len(demonstrations))[None], eos)[0]
    names = [language(code).name for code in (source, target)]
    return [f"{beginning}{names[0]}: {query}{eos}{names[1]}:" for query in queries]


@functools.lru_cache(maxsize=1)  # decodes each token of the vocabulary, and languages ask in turn
def stop_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that end a translation: eos, and every token whose text holds a line break."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    breaks = {token for token, text in enumerate(texts) if "\n" in text}
    return sorted(breaks | {int(tokenizer.eos_token_id)})


def hypothesise(
    generator: Generator, sentences: Sentences, *, beams: int = 1, max_new_tokens: int = NEW_TOKENS
) -> list[str]:
    """The model's translation of each sentence, without white space at the ends.

    Raises:
      InputError: no tokenizer, or one without eos; prompts that are too long for the model.
    """
    tokenizer = generator.model.tokenizer
    if not tokenizer.eos_token:
        raise InputError("the tokenizer has no eos_token, which ends each sentence of a prompt")
    source, target = sentences.source, sentences.target
    queries = [pair.source for pair in sentences.pairs]
    eos = str(tokenizer.eos_token)
    texts = translation_prompts(sentences.demonstrations, queries, source, target, eos)
    continuations = generator(
        tokenizer(texts)["input_ids"],
        max_new_tokens=max_new_tokens,
        stop=stop_tokens(tokenizer),
        beams=beams,
        name=f"translate {source}-{target}",
    )
    return [str(tokenizer.decode(ids, skip_special_tokens=True)).strip() for ids in continuations]
