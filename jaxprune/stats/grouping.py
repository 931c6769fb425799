"""Token rows of many lengths → a few batches of static shape. Independent of tokenizer and model."""

import dataclasses
import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, Int32

from jaxprune.base.errors import InputError
from jaxprune.data.batches import Batch
from jaxprune.data.samples import Samples

# Padded tokens that an additional static shape must save, as each is compiled once per run.
SHAPE_COST = 128
# Groups are padded to a multiple of this number of samples: two for each of two devices. It is fixed, as masks must
# not depend on the number of devices.
MICRO_BATCH = 4


def grouped(sets: Sequence[Samples]) -> list[Batch]:
    """Batches of the samples of each role, in the order of the roles; see `group_by_length`."""
    batches = []
    for samples in sets:
        own = group_by_length(
            samples.sequences, samples.role, languages=samples.languages,
            counted=samples.counted, max_length=samples.max_length,
        )  # fmt: skip
        batches += [dataclasses.replace(batch, vocabulary=samples.vocabulary) for batch in own]
    return batches


def group_by_length(
    sequences: Sequence[Int32[np.ndarray, " _"]],
    role: str,
    *,
    languages: Sequence[str] = (),
    counted: Sequence[Bool[np.ndarray, " _"]] = (),
    micro_batch: int = MICRO_BATCH,
    max_shapes: int = 4,
    multiple: int = 16,
    max_length: int | None = None,
) -> list[Batch]:
    """Groups sequences into at most `max_shapes` batches with little padding.

    The length of a batch is that of its longest sequence rounded up to `multiple`, at most `max_length`.
    A dynamic programme minimises the computed tokens over all cuts of the sorted sequences: a batch runs
    in micro-batches, the last of which is padded, and each shape costs SHAPE_COST tokens, so that no shape
    is made for a few rows.

        lengths  31 33 60 61 90 95, micro_batch=2      T=64: 31 33 60 61      T=96: 90 95

    Args:
      sequences: int32 token ids [length] of each sample.
      role: role of all batches; see `Batch`.
      languages: language of each sequence, or empty; see `Batch`.
      counted: bool [length] of each sequence, or empty; see `Batch`.
      micro_batch: samples per micro-batch.
      max_length: limit on the length of a sequence.

    Returns:
      Batches in ascending order of length; within a batch, rows are in the order of their samples.

    Raises:
      InputError: no sequence, an empty one or one longer than max_length.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    if not lengths.size:
        raise InputError(f"{role}: no samples")
    if not lengths.all():
        raise InputError(
            f"{role}: sample {int(lengths.argmin())} has no tokens; expected 1 or more"
        )
    longest = int(lengths.max())
    if max_length is not None and longest > max_length:
        raise InputError(
            f"{role}: sample {int(lengths.argmax())} has {longest} tokens; expected {max_length}"
        )
    order = np.argsort(lengths, kind="stable")
    shapes = -(-lengths[order] // multiple) * multiple
    if max_length is not None:
        shapes = np.minimum(shapes, max_length)
    bounds = _cheapest_bounds(shapes, micro_batch, max_shapes)
    return [
        _pad(sequences, np.sort(order[start:end]), int(shapes[end - 1]), role, languages, counted)
        for start, end in itertools.pairwise(bounds)
    ]


def _cheapest_bounds(shapes: Int[np.ndarray, " N"], micro_batch: int, max_shapes: int) -> list[int]:
    """Cuts 0 = b0 < b1 < … = N of the ascending shapes into the groups of the least cost.

    The best cut is at a change of shape or fewer than `micro_batch` samples before one, as samples that do not fill a
    micro-batch move to the longer group. cost[g, j] is the least cost of g groups before the j-th such place.
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
    counted: Sequence[Bool[np.ndarray, " _"]],
) -> Batch:
    tokens = np.zeros((len(samples), length), dtype=np.int32)
    valid = np.zeros((len(samples), length), dtype=bool)
    measured = np.zeros((len(samples), length), dtype=bool) if counted else None
    for row, sample in enumerate(samples):
        tokens[row, : len(sequences[sample])] = sequences[sample]
        valid[row, : len(sequences[sample])] = True
        if measured is not None:
            measured[row, : len(sequences[sample])] = counted[sample]
    row_languages = tuple(languages[sample] for sample in samples) if languages else ()
    return Batch(tokens, valid, role, samples.astype(np.int32), row_languages, measured)


def share_shapes(batches: Sequence[Batch], max_shapes: int = 4) -> list[Batch]:
    """The same samples and roles in at most `max_shapes` static lengths in total.

    Sets that were grouped separately have different lengths, and a block is compiled for each length.
    """
    rows = [(batch, row) for batch in batches for row in range(len(batch.tokens))]
    sequences = [batch.tokens[row, batch.valid[row]] for batch, row in rows]
    longest = max(batch.tokens.shape[1] for batch in batches)
    counted = [batch.measured[row, batch.valid[row]] for batch, row in rows]
    is_partial = any(batch.counted is not None for batch in batches)
    groups = group_by_length(
        sequences, "analysis", counted=counted if is_partial else (),
        max_shapes=max_shapes, max_length=longest,
    )  # fmt: skip
    shared = []
    for role in dict.fromkeys(batch.role for batch in batches):
        for group in groups:
            own = [place for place, row in enumerate(group.samples) if rows[row][0].role == role]
            if own:
                members = [rows[row] for row in group.samples[own]]
                samples = np.array([batch.samples[row] for batch, row in members], np.int32)
                codes = tuple(batch.languages[row] for batch, row in members if batch.languages)
                measured = None if group.counted is None else group.counted[own]
                tokens, valid = group.tokens[own], group.valid[own]
                shared.append(Batch(tokens, valid, role, samples, codes, measured))
    return shared
