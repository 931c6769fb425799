"""Few-shot demonstrations: sentences → prompts → tokens → batches (the paper's calibration data).

A translation sample is `shots` pairs, "French: …</s>English: …</s>French: …</s>English: …</s>". A monolingual
sample is `shots` sentences, "French: …</s>French: …</s>". `</s>` is the tokenizer's eos. Two kinds are controls for
translations, with the same sentences: in "shuffled" a pair is no translation, and in "unpaired" a sample is in one
language.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxprune.calibration.arrangements import prompts, sample_lines
from jaxprune.calibration.batches import Batch, all_real
from jaxprune.calibration.config import (
    ALL,
    COMPAT,
    SEED,
    SOURCE,
    TARGET,
    SampleFields,
    TextFields,
    check_side,
    check_texts,
)
from jaxprune.calibration.grouping import group_by_length
from jaxprune.calibration.kinds import KINDS, CalibrationKind
from jaxprune.calibration.texts import aligned, code_samples, line_digests
from jaxprune.errors import InputError, refusal
from jaxprune.schema import PATH, check, checked

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def demonstrations(
    tokenizer: "PreTrainedTokenizerBase | None",
    data: str | Path,
    *,
    kind: str = "translation",
    source: str | Sequence[str] = "fr",
    target: str = "en",
    shots: int = 4,
    samples: int = 100,
    max_length: int = 512,
    seed: int = 0,
    compat: str = "corrected",
    code: str | Path | None = None,
    lines: str | None = None,
    draw: str | None = None,
    tokens: str = "all",
) -> list[Batch]:
    """Calibration batches of demonstrations.

    With `compat="corrected"` a permutation of the aligned lines (by `seed`) is divided into samples of `shots`
    lines without gaps, samples are grouped by length, and pads are not valid. `"official"` reproduces the
    authors' code: `sample_lines` with its gaps, and every sample padded to `max_length` on the tokenizer's side
    with pads that count as real tokens.

    Several sources alternate in the given order. Sample i is sample i of the set that source i mod n alone would give,
    so 100 samples of three languages are 34, 33 and 33. If all languages have the same number of lines, no line number
    is used in two of them.

    Args:
      tokenizer: of transformers; called with its default special tokens and truncation at `max_length`.
      data: a folder of <language>.txt, a FLORES-200 release, a hub data set id, or "nano".
      kind: "translation", "shuffled", "unpaired", "monolingual" (of `source`), or with code "translation_vs_code"
        or "monolingual_vs_code".
      source: ISO 639-1 code, or several as "fr+ru+sw", "fr,ru,sw" or a list.
      target: ISO 639-1 code; monolingual samples do not use it.
      shots: sentences, or pairs of them, in a sample.
      samples: their number, over all sources.
      max_length: tokens at which a sample is truncated.
      seed: of the order of the lines.
      compat: see above.
      code: for kinds with code, the location of source files, of which `samples` are used; see
        `texts.code_samples`.
      lines: range of the sentences to use, as "0-299": counted from 0, the last one included; by default all.
      draw: one of n disjoint parts of these lines, as "2/5". Documents stay whole, as `index.tsv` in the folder names
        them, otherwise runs of ten lines. Files of code are divided too, by `seed`, which shuffles text within a draw.
      tokens: "all", or for kinds with two languages "source" or "target": statistics measure only the tokens of the
        sentences in this language, with its name and the end mark; all tokens are read.

    Returns:
      Batches with role "translation", "shuffled", "unpaired" or "monolingual", then those with role "code".

    Raises:
      InputError: an argument out of range, unreadable or too few texts, no tokenizer or one without eos, a
        sample without tokens.
      OSError: the hub cannot be reached.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", source="fr,sw", samples=8)
      >>> sum(len(batch.samples) for batch in batches)
      8
      >>> sorted({*batches[0].languages})
      ['fr', 'sw']
      >>> "English:" in model.tokenizer.decode(batches[0].tokens[0])
      True
    """
    check("seed", seed, SEED)
    check("compat", compat, COMPAT)
    check("data", data, PATH)
    given = {
        "data": str(data), "kind": kind, "source": source, "target": target, "shots": shots,
        "samples": samples, "max_length": max_length, "code": None if code is None else str(code),
        "lines": lines, "draw": draw, "tokens": tokens,
    }  # fmt: skip
    return sampled(tokenizer, checked(SampleFields, given, "calibration."), seed, compat)


def sampled(
    tokenizer: "PreTrainedTokenizerBase | None", fields: TextFields, seed: int, compat: str
) -> list[Batch]:
    """`demonstrations` for the fields `calibration.*`."""
    check_texts(fields)
    kind, samples, sources = KINDS[fields.kind], fields.samples, fields.source
    tokens = fields.tokens if isinstance(fields, SampleFields) else ALL
    check_side(tokens, kind, compat)
    tokenizer = _usable(tokenizer, kind)
    texts = [""] * samples
    sides: list[Int[np.ndarray, " sentences"]] = [np.zeros(0, int)] * samples
    for turn, each in enumerate(sources):
        codes = [each, fields.target] if kind.has_target else [each]
        sentences, chosen = _samples(fields, codes, seed, compat)
        own = slice(turn, None, len(sources))
        arranged = kind.arrange(chosen[own])
        texts[own] = prompts(sentences, codes, arranged, str(tokenizer.eos_token))
        sides[own] = [*arranged[..., 0]]
    turns = tuple(sources[i % len(sources)] for i in range(samples))
    sets: dict[str, tuple[list[str], tuple[str, ...]]] = {kind.role: (texts, turns)}
    if kind.may_hold_code:
        sets["code"] = (code_samples(str(fields.code), samples, seed, fields.draw), ())
    batches: list[Batch] = []
    for role, (texts, languages) in sets.items():
        on_side = tokens != ALL and role != "code"
        if on_side and not tokenizer.is_fast:
            raise InputError(
                f"calibration.tokens: got {tokens!r}; allowed: {ALL}, with this tokenizer"
            )
        encoded = tokenizer(
            texts, truncation=True, max_length=fields.max_length, return_offsets_mapping=on_side
        )
        sequences = [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]
        if compat == "official":
            rows = _pads_as_tokens(tokenizer, sequences, fields.max_length)
            batches.append(all_real(rows, role, languages))
            continue
        counted = []
        if on_side:
            eos, side = str(tokenizer.eos_token), (SOURCE, TARGET).index(tokens)
            places = zip(texts, encoded["offset_mapping"], sides, strict=True)
            counted = [
                _on_side(text, np.array(spans), eos, of_sample == side)
                for text, spans, of_sample in places
            ]
            if not any(one.any() for one in counted):
                raise InputError(
                    f"calibration.tokens: no sample has a token of the {tokens}; allowed: a calibration.max_length "
                    f"above {fields.max_length}"
                )
        batches += group_by_length(
            sequences, role, languages=languages, counted=counted, max_length=fields.max_length
        )
    digest = vocabulary_digest(tokenizer)
    return [dataclasses.replace(batch, vocabulary=digest) for batch in batches]


def vocabulary_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of a tokenizer's tokens and their ids."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def _on_side(
    text: str,
    spans: Int[np.ndarray, "T 2"],
    eos: str,
    counts: Bool[np.ndarray, " sentences"],
) -> Bool[np.ndarray, " T"]:
    """True at the tokens of some of the sentences of a sample, which end with `eos`.

    Args:
      spans: (first character, end) of each token; empty for tokens that the tokenizer adds.
      counts: whether a sentence counts.
    """
    ends = np.cumsum([len(part) + len(eos) for part in text.split(eos)[:-1]])
    sentence = np.searchsorted(ends, spans[:, 0], side="right")
    real = spans[:, 0] < spans[:, 1]
    return real & counts[np.minimum(sentence, len(counts) - 1)]


def sampled_lines(fields: TextFields, seed: int, compat: str) -> list[str]:
    """`line_digests` of the sentences in the samples that `demonstrations` makes for these fields, each once."""
    kind, sources = KINDS[fields.kind], fields.source
    lines: set[str] = set()
    for turn, each in enumerate(sources if kind.reads_text else []):
        codes = [each, fields.target] if kind.has_target else [each]
        texts, chosen = _samples(fields, codes, seed, compat)
        lines |= {text[line] for text in texts for line in chosen[turn :: len(sources)].flat}
    return sorted({*line_digests(lines)})


def _samples(
    fields: TextFields, codes: Sequence[str], seed: int, compat: str
) -> tuple[list[Sequence[str]], Int[np.ndarray, "samples shots"]]:
    """The sentences by language, and the lines of each sample."""
    sentences = aligned(fields.data, codes, fields.lines, fields.draw)
    how = (KINDS[fields.kind].role, fields.shots, fields.samples, seed, compat)
    try:
        return sentences, sample_lines(len(sentences[0]), *how)
    except InputError as error:
        raise InputError(f"{fields.data}: {error}") from None


def _usable(
    tokenizer: "PreTrainedTokenizerBase | None", kind: CalibrationKind
) -> "PreTrainedTokenizerBase":
    if not kind.reads_text:
        raise InputError(
            f"calibration.kind: got {kind.name!r}; allowed: a kind of text (token_batches reads token ids)"
        )
    if tokenizer is None:
        raise InputError(f"the model has no tokenizer, which {kind.name} demonstrations need")
    if not hasattr(tokenizer, "eos_token"):
        raise refusal("tokenizer", tokenizer, "one of transformers, as Model.tokenizer")
    if not tokenizer.eos_token:
        raise InputError("the tokenizer has no eos_token, which ends each sentence of a prompt")
    return tokenizer


def _pads_as_tokens(
    tokenizer: "PreTrainedTokenizerBase",
    sequences: Sequence[Int32[np.ndarray, " _"]],
    max_length: int,
) -> Int32[np.ndarray, "B T"]:
    """Rows of max_length tokens with pads as real tokens, as in the authors' code.

    Without a pad token, eos is used: the authors add a "[PAD]" with a random embedding, which cannot be
    reproduced.
    """
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    tokens = np.full((len(sequences), max_length), pad, dtype=np.int32)
    for row, sequence in zip(tokens, sequences, strict=True):
        start = max_length - len(sequence) if tokenizer.padding_side == "left" else 0
        row[start : start + len(sequence)] = sequence
    return tokens
