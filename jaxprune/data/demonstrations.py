"""Few-shot demonstrations: sentences → prompts → rows of tokens (the paper's calibration data).

A translation sample is `shots` pairs, "French: …</s>English: …</s>French: …</s>English: …</s>". A monolingual
sample is `shots` sentences, "French: …</s>French: …</s>". `</s>` is the tokenizer's eos. Two kinds are controls for
translations, with the same sentences: in "shuffled" a pair is no translation, and in "unpaired" a sample is in one
language.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.data.arrangements import prompts, sample_lines, samples_of
from jaxprune.data.config import (
    ALL,
    SOURCE,
    TARGET,
    SampleFields,
    TextFields,
    check_side,
    check_texts,
)
from jaxprune.data.kinds import KINDS, CalibrationKind
from jaxprune.data.samples import Samples
from jaxprune.data.texts import aligned, code_samples, line_digests

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Samples that are read at most if their number is not set.
MOST_SAMPLES = 10_000


def sampled(
    tokenizer: "PreTrainedTokenizerBase | None", fields: TextFields, seed: int, compat: str
) -> list[Samples]:
    """The samples of `jaxprune.demonstrations`, for the fields `calibration.*`."""
    check_texts(fields)
    kind, samples, sources = KINDS[fields.kind], fields.samples, fields.source
    tokens = fields.tokens if isinstance(fields, SampleFields) else ALL
    check_side(tokens, kind, compat)
    tokenizer = _usable(tokenizer, kind)
    texts = [""] * samples
    sides: list[Int[np.ndarray, " sentences"]] = [np.zeros(0, int)] * samples
    for turn, language in enumerate(sources):
        codes = [language, fields.target] if kind.has_target else [language]
        sentences, chosen = _samples(fields, codes, seed, compat)
        own = slice(turn, None, len(sources))
        arranged = kind.arrange(chosen[own])
        texts[own] = prompts(sentences, codes, arranged, str(tokenizer.eos_token))
        sides[own] = [*arranged[..., 0]]
    turns = tuple(sources[i % len(sources)] for i in range(samples))
    sets: dict[str, tuple[list[str], tuple[str, ...]]] = {kind.role: (texts, turns)}
    if kind.may_hold_code:
        sets["code"] = (code_samples(str(fields.code), samples, seed, fields.draw), ())
    digest = vocabulary_digest(tokenizer)
    sample_sets: list[Samples] = []
    for role, (texts, languages) in sets.items():
        on_side = tokens != ALL and role != "code"
        if on_side and not tokenizer.is_fast:
            raise InputError(
                f"calibration.tokens: got {tokens!r}; expected {ALL}, with this tokenizer"
            )
        encoded = tokenizer(
            texts, truncation=True, max_length=fields.max_length, return_offsets_mapping=on_side
        )
        sequences = [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]
        if compat == "official":
            sequences = [*_pads_as_tokens(tokenizer, sequences, fields.max_length)]
        counted = []
        if on_side:
            eos, side = str(tokenizer.eos_token), (SOURCE, TARGET).index(tokens)
            places = zip(texts, encoded["offset_mapping"], sides, strict=True)
            counted = [
                _on_side(text, np.array(spans), eos, sentence_sides == side)
                for text, spans, sentence_sides in places
            ]
            if not any(mask.any() for mask in counted):
                raise InputError(
                    f"calibration.tokens: no sample has a token of the {tokens}; expected a calibration.max_length "
                    f"above {fields.max_length}"
                )
        sample_sets.append(
            Samples(
                role=role, sequences=sequences, languages=languages, counted=counted,
                max_length=fields.max_length, vocabulary=digest,
            )
        )  # fmt: skip
    return sample_sets


def vocabulary_digest(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of a tokenizer's tokens and their ids."""
    return hashlib.sha256(json.dumps(tokenizer.get_vocab(), sort_keys=True).encode()).hexdigest()


def _on_side(
    text: str, spans: Int[np.ndarray, "T 2"], eos: str, counts: Bool[np.ndarray, " sentences"]
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


def with_all_samples(fields: TextFields, compat: str) -> TextFields:
    """The fields with as many samples as their lines make, at most `MOST_SAMPLES`."""
    kind = KINDS[fields.kind]
    if not kind.reads_lines:
        return fields
    counts = [MOST_SAMPLES]
    for source in fields.source:
        codes = [source, fields.target] if kind.has_target else [source]
        lines = len(aligned(fields.data, codes, fields.lines, fields.draw)[0])
        counts.append(samples_of(lines, kind.role, fields.shots, compat))
    return dataclasses.replace(fields, samples=max(1, min(counts)))


def sampled_lines(fields: TextFields, seed: int, compat: str) -> list[str]:
    """`line_digests` of the sentences in the samples that `demonstrations` makes for these fields, each once."""
    kind, sources = KINDS[fields.kind], fields.source
    lines: set[str] = set()
    for turn, language in enumerate(sources if kind.reads_lines else []):
        codes = [language, fields.target] if kind.has_target else [language]
        texts, chosen = _samples(fields, codes, seed, compat)
        lines |= {text[line] for text in texts for line in chosen[turn :: len(sources)].flat}
    return sorted({*line_digests(lines)})


def _samples(
    fields: TextFields, codes: Sequence[str], seed: int, compat: str
) -> tuple[list[Sequence[str]], Int[np.ndarray, "samples shots"]]:
    """The sentences by language, and the lines of each sample."""
    sentences = aligned(fields.data, codes, fields.lines, fields.draw)
    arguments = (KINDS[fields.kind].role, fields.shots, fields.samples, seed, compat)
    try:
        return sentences, sample_lines(len(sentences[0]), *arguments)
    except InputError as error:
        raise InputError(f"{fields.data}: {error}") from None


def _usable(
    tokenizer: "PreTrainedTokenizerBase | None", kind: CalibrationKind
) -> "PreTrainedTokenizerBase":
    if not kind.reads_lines:
        raise InputError(
            f"calibration.kind: got {kind.name!r}; expected a kind of text that is read (generated_batches writes "
            "text, token_batches reads token ids)"
        )
    if tokenizer is None:
        raise InputError(f"the model has no tokenizer, which {kind.name} demonstrations need")
    if not hasattr(tokenizer, "eos_token"):
        raise invalid_value("tokenizer", tokenizer, "one of transformers, as Model.tokenizer")
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
