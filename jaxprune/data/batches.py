"""Batches of token rows: checks, counts and digest. Independent of tokenizer and model."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxprune.base.errors import InputError, shown


class SetKey(NamedTuple):
    """A set of samples with statistics of its own.

    Attributes:
      kind: the role of its batches, such as "translation" or "code".
      language: language of the samples (the source of translations); empty if samples have none.
    """

    kind: str
    language: str = ""


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one static length.

    Attributes:
      tokens: [B, T] int32, left-justified: the real tokens of a row are followed by zeros.
      valid: [B, T] bool, True at real tokens. Only these enter attention and statistics.
      role: "translation", "shuffled", "unpaired", "monolingual", "code" or "tokens".
      samples: [B] int32, the index of each row in its set. Sums over samples follow this order, independent of
        the grouping of rows.
      languages: language code of each row (the source of a translation); empty if rows have none, as code and
        token ids.
      counted: [B, T] bool, True at the real tokens whose features statistics measure; None for all real tokens.
      vocabulary: `vocabulary_digest` of the tokenizer that made them; empty for other token ids.
    """

    tokens: Int32[np.ndarray, "B T"]
    valid: Bool[np.ndarray, "B T"]
    role: str
    samples: Int32[np.ndarray, " B"]
    languages: tuple[str, ...] = ()
    counted: Bool[np.ndarray, "B T"] | None = None
    vocabulary: str = ""

    @property
    def measured(self) -> Bool[np.ndarray, "B T"]:
        """True at the tokens whose features statistics measure."""
        return self.valid if self.counted is None else self.counted

    @property
    def num_tokens(self) -> int:
        """Tokens in the batch whose features statistics measure."""
        return int(self.measured.sum())


def check_batches(batches: object) -> None:
    """Rejects anything but a list of valid batches; an empty list is valid.

    Raises:
      InputError: names the type or the fault.
    """
    allowed = "expected a list of Batch, as jaxprune.demonstrations returns"
    if isinstance(batches, str) or not isinstance(batches, Sequence):
        raise InputError(f"batches: got {type(batches).__name__}; {allowed}")
    for number, batch in enumerate(batches):
        if not isinstance(batch, Batch):
            raise InputError(f"batches: got a list with {type(batch).__name__}; {allowed}")
        if wrong := _fault(batch):
            raise InputError(f"batches[{number}]: {wrong}")


def _fault(batch: Batch) -> str | None:
    """A message on the first fault of a batch; None if it has none."""
    for name, kinds, rank in (("tokens", "iu", 2), ("valid", "b", 2), ("samples", "iu", 1)):
        array = getattr(batch, name)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim != rank:
            kind = "bool" if kinds == "b" else "integers"
            return f"{name}: got {shown(array)}; expected an array of {kind}, {'[B, T]' if rank == 2 else '[B]'}"
    shapes = batch.tokens.shape, batch.valid.shape, batch.samples.shape
    if not batch.tokens.size or shapes[1:] != (shapes[0], shapes[0][:1]):
        return (
            f"tokens, valid and samples have the shapes {shapes}; expected [B, T], [B, T] and [B]"
        )
    if len(batch.languages) not in (0, shapes[0][0]):
        return f"languages: got {len(batch.languages)} for {shapes[0][0]} rows; expected one for each, or none"
    gaps = ~batch.valid[:, 0] | (batch.valid[:, 1:] & ~batch.valid[:, :-1]).any(axis=1)
    if gaps.any():
        return (
            f"row {gaps.argmax()} is not left-justified; expected real tokens first, one at least"
        )
    counted = batch.counted
    if counted is not None and (
        np.shape(counted) != shapes[0] or counted.dtype != bool or (counted & ~batch.valid).any()
    ):
        return f"counted: got {shown(counted)}; expected an array of bool, [B, T], False at pads"
    return None


def set_tokens(batches: Sequence[Batch]) -> dict[SetKey, int]:
    """Number of measured tokens by set, in the order of the batches."""
    counts: Counter[SetKey] = Counter()
    for batch in batches:
        languages = batch.languages or [""] * len(batch.tokens)
        for language, tokens in zip(languages, batch.measured.sum(axis=1), strict=True):
            counts[SetKey(batch.role, language)] += int(tokens)
    return dict(counts)


def by_kind(tokens: Mapping[SetKey, int]) -> dict[str, int]:
    """Number of real tokens by kind."""
    counts: Counter[str] = Counter()
    for key, number in tokens.items():
        counts[key.kind] += number
    return dict(counts)


def by_language(tokens: Mapping[SetKey, int]) -> dict[str, dict[str, int]]:
    """Number of real tokens by kind and language, for sets with a language."""
    counts: dict[str, dict[str, int]] = {}
    for (kind, language), number in tokens.items():
        if language:
            counts.setdefault(kind, {})[language] = number
    return counts


def cut_pads(batch: Batch, length: int) -> Batch:
    """The batch cut to `length` columns, or to its longest row if that is longer."""
    needed = max(length, int(batch.valid.sum(axis=1).max()))
    if batch.tokens.shape[1] <= needed:
        return batch
    counted = None if batch.counted is None else batch.counted[:, :needed]
    tokens, valid = batch.tokens[:, :needed], batch.valid[:, :needed]
    return replace(batch, tokens=tokens, valid=valid, counted=counted)


def first_samples(batches: Sequence[Batch], count: int) -> list[Batch]:
    """The rows of the first samples of each set."""
    cut = []
    for batch in batches:
        kept = batch.samples < count
        if kept.any():
            parts = {name: getattr(batch, name)[kept] for name in ("tokens", "valid", "samples")}
            languages = tuple(itertools.compress(batch.languages, kept))
            counted = None if batch.counted is None else batch.counted[kept]
            cut.append(replace(batch, **parts, languages=languages, counted=counted))
    return cut


def check_ids(batches: Iterable[Batch], vocab_size: int) -> None:
    """Rejects token ids outside the embedding table; a gather would clamp them.

    Raises:
      InputError: an id is negative or not below vocab_size; names the set, the sample and the id.
    """
    for batch in batches:
        for sample, tokens in zip(batch.samples, batch.tokens, strict=True):
            check_tokens(f"{batch.role}: sample {sample}", tokens, vocab_size)


def check_tokens(
    where: str, tokens: Sequence[int] | Int[np.ndarray, " T"], vocab_size: int
) -> None:
    """Rejects token ids outside the vocabulary, with a message that starts with `where`."""
    if len(tokens) and not 0 <= min(tokens) <= max(tokens) < vocab_size:
        wrong = next(token for token in tokens if not 0 <= token < vocab_size)
        raise InputError(
            f"{where} has token id {wrong}; expected 0 to {vocab_size - 1}, the model's vocabulary"
        )


def digest(batches: Iterable[Batch]) -> str:
    """SHA-256 of the real tokens of every set and those counted, sample by sample, independent of their grouping."""
    samples = {
        (batch.role, int(sample)): (
            batch.tokens[row, batch.valid[row]],
            b"" if batch.counted is None else batch.counted[row, batch.valid[row]].tobytes(),
        )
        for batch in batches
        for row, sample in enumerate(batch.samples)
    }
    sha = hashlib.sha256()
    for (role, sample), (tokens, counted) in sorted(samples.items()):
        sha.update(f"{role} {sample} {len(tokens)}\n".encode())
        sha.update(tokens.astype("<i4").tobytes() + counted)
    return sha.hexdigest()
