"""The last block's output → log-probabilities, one slice of the vocabulary at a time.

[B, T, V] is never stored: each slice updates the largest logit, its token and Σ exp of the earlier slices.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices.sharding import compiled_by_rows
from jaxprune.evaluation.scoring.forest import Forest
from jaxprune.models.config import ModelConfig
from jaxprune.models.heads import logits_of
from jaxprune.models.model import head_inputs
from jaxprune.models.trees import HeadParams

# Tokens in a slice.
SLICE = 8192
# On CPUs, numbers of positions and tokens per product, so that logits and the rows of the table fit a core's cache.
CPU_POSITIONS = 640
CPU_TOKENS = 256
# Numbers of positions are rounded up to a multiple of this, so that few shapes are compiled.
MULTIPLE = 64

# The first token id of a slice, and its rows of the head's table.
VocabularySlice = tuple[Int[Array, ""], Float[Array, "C D"]]


class Predictions(NamedTuple):
    """The places that predict a forest's scored tokens.

    Attributes:
      places: [R, P] int32, places whose next token is scored; padded with other places.
      slots: [R, T] int32, for each token the index in `places` of the token before it; 0 if it is not scored.
    """

    places: Int[Array | np.ndarray, "R P"]
    slots: Int[Array | np.ndarray, "R T"]


def predictions(forest: Forest) -> Predictions:
    """The places that predict the scored tokens of a forest."""
    leaves = forest.leaves
    scored = np.concatenate([leaf.path[leaf.start :] for leaf in leaves])
    before = np.concatenate([leaf.path[leaf.start - 1 : -1] for leaf in leaves])
    row = np.concatenate([np.full(len(leaf.path[leaf.start :]), leaf.row) for leaf in leaves])
    is_needed = np.zeros((len(forest.tokens), forest.seen), bool)
    is_needed[row, before] = True
    most = int(is_needed.sum(axis=1).max())
    count = min(forest.seen, -(-max(most, 1) // MULTIPLE) * MULTIPLE)
    # needed places first, in their order
    places = np.argsort(~is_needed, axis=1, kind="stable")[:, :count]
    slots = np.zeros(forest.tokens.shape, np.int32)
    slots[row, scored] = (np.cumsum(is_needed, axis=1) - 1)[row, before]
    return Predictions(places.astype(np.int32), slots)


class RunningSoftmax(NamedTuple):
    """The softmax of the next token at each place of `Predictions`, over the slices so far.

    Attributes:
      h: [B, P, D] normed states, the inputs of the products.
      largest: [B, P] float32, the largest logit.
      total: [B, P] float32, Σ exp(logit - largest).
      argmax: [B, P] int32, the token of the largest logit; the lowest of equal ones.
    """

    h: Float[Array, "B P D"]
    largest: Float[Array, "B P"]
    total: Float[Array, "B P"]
    argmax: Int[Array, "B P"]


def slices(config: ModelConfig) -> list[range]:
    """The vocabulary in ranges of SLICE token ids; the last one may be shorter."""
    ids = range(config.vocab_size)
    return [ids[start : start + SLICE] for start in ids[::SLICE]]


@functools.partial(compiled_by_rows, static_argnames=("config",))
def start_softmax(
    state: tuple[Float[Array, "B S D"], Predictions, Int[Array, "B T"]],
    *,
    head: tuple[HeadParams, Float[Array, "N D"]],
    config: ModelConfig,
) -> tuple[RunningSoftmax, Float[Array, "B T"]]:
    """The state before the first slice, and the logit of every token after the one before it, float32.

    Args:
      state: (the last block's output [B, T-1, D], `Predictions`, index of each token in the rows of the table [B, T]).
      head: (parameters of the head's norm, rows of the head's table [N, D]).
    """
    norm, table = head
    x, (places, slots), rows = state
    last = jnp.take_along_axis(x, places[..., None], axis=1)
    h = head_inputs(config, norm, last, table.dtype)
    before = jnp.take_along_axis(h, slots[..., None], axis=1).astype(jnp.float32)
    logits = jnp.sum(before * table[rows].astype(jnp.float32), axis=-1)
    shape = h.shape[:2]
    softmax = RunningSoftmax(
        h, jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros(shape, jnp.int32)
    )
    return softmax, logits_of(config, logits)


@functools.partial(compiled_by_rows, static_argnames=("config",))
def run_slice(
    state: RunningSoftmax, *, part: VocabularySlice, config: ModelConfig
) -> RunningSoftmax:
    """The state after one more slice.

    Args:
      state: state after the slices before.
      part: (first token id, rows of the head's table [SLICE, D]).
    """
    if jax.default_backend() != "cpu":
        return _update(config, state, part)
    start, table = part
    count = CPU_TOKENS if len(table) % CPU_TOKENS == 0 else len(table)
    starts = start + jnp.arange(0, len(table), count)
    pieces = (starts, table.reshape(-1, count, table.shape[1]))

    def step(state: RunningSoftmax) -> RunningSoftmax:
        add_piece = lambda state, piece: (_update(config, state, piece), None)  # noqa: E731
        return jax.lax.scan(add_piece, state, pieces)[0]

    chunks = (-1, _chunk(state.argmax.size))
    cut = jax.tree.map(lambda x: x.reshape(*chunks, *x.shape[2:]), state)
    after = jax.lax.map(step, cut)
    return jax.tree.map(lambda x, old: x.reshape(old.shape), after, state)


def _chunk(size: int) -> int:
    """The largest divisor of `size` that is at most `CPU_POSITIONS`."""
    return next(count for count in range(min(size, CPU_POSITIONS), 0, -1) if size % count == 0)


def _update(config: ModelConfig, state: RunningSoftmax, params: VocabularySlice) -> RunningSoftmax:
    start, table = params
    ids = start + jnp.arange(table.shape[0])
    logits = jnp.einsum("...d,cd->...c", state.h, table, preferred_element_type=jnp.float32)
    logits = logits_of(config, logits)
    if config.vocab_size % len(slices(config)[0]):  # the last slice is padded
        logits = jnp.where(ids < config.vocab_size, logits, -jnp.inf)
    highest = jnp.max(logits, axis=-1)
    largest = jnp.maximum(state.largest, highest)
    # both in one reduction: XLA's own argmax takes a third of the product's time on CPUs
    total, best = jax.lax.reduce(
        (
            jnp.exp(logits - largest[..., None]),
            jnp.where(logits == highest[..., None], ids, config.vocab_size),
        ),
        (np.float32(0), np.int32(config.vocab_size)),
        lambda a, b: (a[0] + b[0], jnp.minimum(a[1], b[1])),
        (logits.ndim - 1,),
    )
    return RunningSoftmax(
        state.h,
        largest,
        state.total * jnp.exp(state.largest - largest) + total,
        jnp.where(highest > state.largest, best, state.argmax),
    )


def finish(
    forest: Forest,
    needed: Predictions,
    logits: Float[np.ndarray, "R T"],
    states: Sequence[RunningSoftmax],
) -> tuple[Float[np.ndarray, "R T"], Bool[np.ndarray, "R T"]]:
    """(log-probability, is argmax) of the scored tokens, from the state after the last slice.

    Args:
      logits: logits of every token, from `start_softmax`.
      states: states of each micro-batch.
    """
    largest, total, argmax = (
        np.concatenate([np.asarray(getattr(state, name)) for state in states])[: len(logits)]
        for name in ("largest", "total", "argmax")
    )
    slots = np.asarray(needed.slots)
    normaliser = np.take_along_axis(largest + np.log(total), slots, axis=1)
    best = np.take_along_axis(argmax, slots, axis=1)
    return (logits - normaliser).astype(np.float32), best == forest.tokens
