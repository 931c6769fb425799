"""Token rows of many lengths → a few batches of static shape. Knows no tokenizer and no model."""

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxprune.errors import InputError, shown

# Padded tokens that one more static shape has to save: each is compiled once per run.
SHAPE_COST = 128
# Groups are filled up to a multiple of so many samples: two for each of two devices. Masks must not depend on the
# number of devices, so groups do not either.
MICRO_BATCH = 4


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of one static length.

    Attributes:
      tokens: [B, T] int32, left-justified: the real tokens of a row come first, zeros after.
      valid: [B, T] bool, True at real tokens. Only these take part in attention and statistics.
      role: "translation", "monolingual", "code" or "tokens".
      samples: [B] int32, the index of each row in its set: sums over samples can run in one order
        however the rows were grouped.
      languages: code of each row's language, of a translation that of its source; empty where rows have none, as code
        and token ids.
    """

    tokens: Int32[np.ndarray, "B T"]
    valid: Bool[np.ndarray, "B T"]
    role: str
    samples: Int32[np.ndarray, " B"]
    languages: tuple[str, ...] = ()

    @property
    def num_tokens(self) -> int:
        """Real tokens in the batch."""
        return int(self.valid.sum())


def check_batches(batches: object) -> None:
    """Refuses what is no list of batches; an empty one passes.

    Raises:
      InputError: tells what it is.
    """
    if isinstance(batches, str) or not isinstance(batches, Sequence):
        got = type(batches).__name__
    else:
        strange = (type(one).__name__ for one in batches if not isinstance(one, Batch))
        got = next((f"a list with {name}" for name in strange), "")
    if got:
        raise InputError(
            f"batches: got {got}; allowed: a list of Batch, as jaxprune.demonstrations makes"
        )
    assert isinstance(batches, Sequence)
    for number, batch in enumerate(batches):
        if wrong := _fault(batch):
            raise InputError(f"batches[{number}]: {wrong}")


def _fault(batch: Batch) -> str | None:
    """What of a batch is not as its attributes say; None if all is."""
    for name, kinds, rank in (("tokens", "iu", 2), ("valid", "b", 2), ("samples", "iu", 1)):
        array = getattr(batch, name)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or array.ndim != rank:
            kind = "bool" if kinds == "b" else "integers"
            return f"{name}: got {shown(array)}; allowed: an array of {kind}, {'[B, T]' if rank == 2 else '[B]'}"
    shapes = batch.tokens.shape, batch.valid.shape, batch.samples.shape
    if not batch.tokens.size or shapes[1:] != (shapes[0], shapes[0][:1]):
        return (
            f"tokens, valid and samples have the shapes {shapes}; allowed: [B, T], [B, T] and [B]"
        )
    if len(batch.languages) not in (0, shapes[0][0]):
        return f"languages: got {len(batch.languages)} for {shapes[0][0]} rows; allowed: one for each, or none"
    gaps = ~batch.valid[:, 0] | (batch.valid[:, 1:] & ~batch.valid[:, :-1]).any(axis=1)
    if gaps.any():
        return (
            f"row {gaps.argmax()} is not left-justified; allowed: real tokens first, one at least"
        )
    return None


def token_counts(batches: Sequence[Batch]) -> dict[str, int]:
    """Real tokens by role."""
    counts: dict[str, int] = {}
    for batch in batches:
        counts[batch.role] = counts.get(batch.role, 0) + batch.num_tokens
    return counts


def language_counts(batches: Sequence[Batch]) -> dict[str, dict[str, int]]:
    """Real tokens by role and language, of the rows that have one."""
    counts: dict[str, dict[str, int]] = {}
    for batch in batches:
        for language, tokens in zip(batch.languages, batch.valid.sum(axis=1), strict=False):
            of_role = counts.setdefault(batch.role, {})
            of_role[language] = of_role.get(language, 0) + int(tokens)
    return counts


def group_by_length(
    sequences: Sequence[Int32[np.ndarray, " _"]],
    role: str,
    *,
    languages: Sequence[str] = (),
    micro_batch: int = MICRO_BATCH,
    max_shapes: int = 4,
    multiple: int = 16,
    max_length: int | None = None,
) -> list[Batch]:
    """Sorts sequences into at most `max_shapes` batches so that little padding is computed.

    A batch is as long as its longest sequence rounded up to `multiple`, at most `max_length`.
    The bounds minimise the padded tokens over all cuts of the sorted sequences, by a dynamic
    programme. What counts is what is computed: a batch runs in micro-batches, the
    last one filled up, and a shape costs SHAPE_COST tokens, so that none is made for a few rows.

        lengths  31 33 60 61 90 95, micro_batch=2      T=64: 31 33 60 61      T=96: 90 95

    Args:
      sequences: int32 token ids [length] of each sample.
      role: of all of them; see `Batch`.
      languages: of each, or none; see `Batch`.
      micro_batch: samples of a micro-batch.
      max_length: no sequence is longer.

    Returns:
      Batches by rising length; inside one, rows stand in the order of their samples.

    Raises:
      InputError: there is no sequence, or one is empty or longer than max_length; no shape or row is allowed.
    """
    for name, most in (("micro_batch", micro_batch), ("max_shapes", max_shapes)):
        if most < 1:
            raise InputError(f"{name}: got {most}; allowed: 1 or more")
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if not lengths.size:
        raise InputError(f"{role}: no samples")
    if not lengths.all():
        raise InputError(
            f"{role}: sample {int(lengths.argmin())} has no tokens; allowed: 1 or more"
        )
    longest = int(lengths.max())
    if max_length is not None and longest > max_length:
        raise InputError(
            f"{role}: sample {int(lengths.argmax())} has {longest} tokens; allowed: {max_length}"
        )
    order = np.argsort(lengths, kind="stable")
    shapes = -(-lengths[order] // multiple) * multiple
    if max_length is not None:
        shapes = np.minimum(shapes, max_length)
    bounds = _cheapest_bounds(shapes, micro_batch, max_shapes)
    return [
        _pad(sequences, np.sort(order[start:end]), int(shapes[end - 1]), role, languages)
        for start, end in itertools.pairwise(bounds)
    ]


def _cheapest_bounds(shapes: Int[np.ndarray, " N"], micro_batch: int, max_shapes: int) -> list[int]:
    """Cuts 0 = b0 < b1 < … = N of the ascending shapes into the groups that cost least.

    A cut costs least where the shape changes or fewer than `micro_batch` before, whence an odd sample moves up to the
    longer ones: cost[g, j] is the least cost of what stands before the j-th such place in exactly g groups.
    """
    changes = np.append(np.flatnonzero(np.diff(shapes)) + 1, len(shapes))
    near = (changes[:, None] - np.arange(micro_batch)).ravel()
    places = np.unique(np.append(near[near > 0], 0))
    groups = min(max_shapes, len(changes))
    cost = np.full((groups + 1, len(places)), np.inf)
    start = np.zeros((groups + 1, len(places)), dtype=np.int64)
    cost[0, 0] = 0
    for group in range(1, groups + 1):
        for end in range(1, len(places)):
            filled = -(-(places[end] - places[:end]) // micro_batch) * micro_batch
            total = cost[group - 1, :end] + filled * shapes[places[end] - 1] + SHAPE_COST
            start[group, end] = total.argmin()
            cost[group, end] = total.min()
    bounds = [len(places) - 1]
    for group in range(int(cost[:, -1].argmin()), 0, -1):
        bounds.append(int(start[group, bounds[-1]]))
    return places[bounds[::-1]].tolist()


def _pad(
    sequences: Sequence[Int32[np.ndarray, " _"]],
    samples: Int[np.ndarray, " B"],
    length: int,
    role: str,
    languages: Sequence[str],
) -> Batch:
    tokens = np.zeros((len(samples), length), dtype=np.int32)
    valid = np.zeros((len(samples), length), dtype=bool)
    for row, sample in enumerate(samples):
        tokens[row, : len(sequences[sample])] = sequences[sample]
        valid[row, : len(sequences[sample])] = True
    of_rows = tuple(languages[sample] for sample in samples) if languages else ()
    return Batch(tokens, valid, role, samples.astype(np.int32), of_rows)


def cut_pads(batch: Batch, length: int) -> Batch:
    """The batch with as many columns, or as many as its real tokens need if these are more."""
    needed = max(length, int(batch.valid.sum(axis=1).max()))
    if batch.tokens.shape[1] <= needed:
        return batch
    return replace(batch, tokens=batch.tokens[:, :needed], valid=batch.valid[:, :needed])


def share_shapes(batches: Sequence[Batch], max_shapes: int = 4) -> list[Batch]:
    """The same samples of the same roles in at most `max_shapes` static lengths in all.

    Sets cut apart from each other have lengths of their own, and a block is compiled for each.
    """
    roles = list(dict.fromkeys(batch.role for batch in batches))
    owners = np.concatenate([np.full(len(b.tokens), roles.index(b.role)) for b in batches])
    samples = np.concatenate([batch.samples for batch in batches])
    sequences = [t[v] for batch in batches for t, v in zip(batch.tokens, batch.valid, strict=True)]
    languages = [code for batch in batches for code in batch.languages or [""] * len(batch.tokens)]
    longest = max(batch.tokens.shape[1] for batch in batches)
    grouped = group_by_length(sequences, "analysis", max_shapes=max_shapes, max_length=longest)
    shared = []
    for owner, role in enumerate(roles):
        for group in grouped:
            rows = np.flatnonzero(owners[group.samples] == owner)
            if rows.size:
                members = group.samples[rows]
                of_rows = tuple(languages[member] for member in members)
                shared.append(
                    Batch(
                        group.tokens[rows], group.valid[rows], role, samples[members],
                        of_rows if all(of_rows) else (),
                    )
                )  # fmt: skip
    return shared


def from_arrays(
    input_ids: np.ndarray,
    attention_mask: np.ndarray | None = None,
    *,
    role: str = "tokens",
    micro_batch: int = MICRO_BATCH,
    max_shapes: int = 4,
) -> list[Batch]:
    """Batches of ready-made token rows, padded on either side or not at all.

    Args:
      input_ids: [N, T] of any integer type; row i is sample i.
      attention_mask: [N, T], 1 at real tokens; without one every token is real.

    Raises:
      InputError: not a matrix of token ids, a mask of another shape or with other values than 0
        and 1, or a row without real tokens or with pads between them.
    """
    ids = token_ids(input_ids, "input_ids")
    mask = np.ones(ids.shape, dtype=bool)
    if attention_mask is not None:
        mask = _mask(attention_mask, ids.shape)
    return group_by_length(
        _left_justify(ids, mask), role, micro_batch=micro_batch, max_shapes=max_shapes
    )


def token_ids(array: np.ndarray, name: str) -> Int32[np.ndarray, "N T"]:
    """The array as int32 token ids.

    Raises:
      InputError: it is not a non-empty integer matrix, or an id is negative or beyond int32.
    """
    array = np.asarray(array)
    if array.ndim != 2 or not array.size or not np.issubdtype(array.dtype, np.integer):
        raise InputError(
            f"{name}: got {array.dtype} of shape {array.shape}; allowed: int32 [samples, tokens]"
        )
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        row = int(np.flatnonzero((array < 0) | (array > np.iinfo(np.int32).max))[0])
        raise InputError(
            f"{name}: row {row // array.shape[1]} holds {array.flat[row]}; "
            "allowed: ids from 0 to 2**31 - 1 (mark pads in attention_mask)"
        )
    return array.astype(np.int32)


def _mask(attention_mask: np.ndarray, shape: tuple[int, ...]) -> Bool[np.ndarray, "N T"]:
    mask = np.asarray(attention_mask)
    if mask.shape != shape:
        raise InputError(f"attention_mask: shape {mask.shape}; input_ids has {shape}")
    if not np.isin(mask, (0, 1)).all():
        raise InputError("attention_mask: holds other values than 0 and 1")
    return mask.astype(bool)


def _left_justify(
    ids: Int32[np.ndarray, "N T"], mask: Bool[np.ndarray, "N T"]
) -> list[Int32[np.ndarray, " _"]]:
    sequences = []
    for row, real in enumerate(mask):
        places = np.flatnonzero(real)
        if not places.size:
            raise InputError(f"attention_mask: row {row} has no real token")
        if places[-1] - places[0] + 1 != places.size:
            raise InputError(
                f"attention_mask: row {row} has pads between real tokens; "
                "allowed: pads on the left or the right"
            )
        sequences.append(ids[row, places])
    return sequences


def check_ids(batches: Iterable[Batch], vocab_size: int) -> None:
    """Refuses token ids that the embedding table does not have; a gather would clamp them.

    Raises:
      InputError: an id is negative, or vocab_size or more; names the set, the sample and the id.
    """
    for batch in batches:
        for sample, tokens in zip(batch.samples, batch.tokens, strict=True):
            check_tokens(f"{batch.role}: sample {sample}", tokens, vocab_size)


def check_tokens(
    where: str, tokens: Sequence[int] | Int[np.ndarray, " T"], vocab_size: int
) -> None:
    """Refuses token ids beyond the vocabulary, in a message that begins with `where`."""
    if not 0 <= min(tokens) <= max(tokens) < vocab_size:
        wrong = next(token for token in tokens if not 0 <= token < vocab_size)
        raise InputError(
            f"{where} has token id {wrong}; allowed: 0 to {vocab_size - 1}, the model's vocabulary"
        )


def digest(batches: Iterable[Batch]) -> str:
    """SHA-256 of the real tokens of every set, sample by sample, however they are grouped."""
    samples = {
        (batch.role, int(sample)): tokens[valid]
        for batch in batches
        for sample, tokens, valid in zip(batch.samples, batch.tokens, batch.valid, strict=True)
    }
    sha = hashlib.sha256()
    for (role, sample), tokens in sorted(samples.items()):
        sha.update(f"{role} {sample} {len(tokens)}\n".encode())
        sha.update(tokens.astype("<i4").tobytes())
    return sha.hexdigest()
