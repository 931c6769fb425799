"""The last block's output → log-probabilities, one slice of the vocabulary at a time.

[B, T, V] is never there: each slice updates the largest logit, its token and Σ exp of what came before.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxprune.devices import compiled, on_own_rows
from jaxprune.evaluation.scoring.forest import Forest
from jaxprune.models import HeadParams, ModelConfig, entering, logits_of, modules
from jaxprune.passes import Context

# Tokens in a slice.
SLICE = 8192
# On CPUs, logits of so many positions and tokens at once: they and the rows of the table stay in a core's cache.
CPU_POSITIONS = 640
CPU_TOKENS = 256
# Counts of positions are rounded up to this, so that few shapes are compiled.
MULTIPLE = 64

# The first token id of a slice, and its rows of the head's table.
VocabularySlice = tuple[Int[Array, ""], Float[Array, "C D"]]


class Predictions(NamedTuple):
    """The places that predict a forest's scored tokens.

    Attributes:
      places: [R, P] int32, places whose next token is scored; filled up with places whose is not.
      slots: [R, T] int32, for each token the index in `places` of the token before it; 0 where not scored.
    """

    places: Int[Array | np.ndarray, "R P"]
    slots: Int[Array | np.ndarray, "R T"]


def predictions(forest: Forest) -> Predictions:
    """The places that predict the scored tokens of a forest."""
    is_needed = np.zeros((len(forest.tokens), forest.seen), bool)
    row, place = np.nonzero(forest.is_scored)
    parents = forest.parents[row, place]
    is_needed[row, parents] = True
    most = int(is_needed.sum(axis=1).max())
    count = min(forest.seen, -(-max(most, 1) // MULTIPLE) * MULTIPLE)
    # needed places first, in their order
    places = np.argsort(~is_needed, axis=1, kind="stable")[:, :count]
    slots = np.zeros(forest.tokens.shape, np.int32)
    slots[row, place] = (np.cumsum(is_needed, axis=1) - 1)[row, parents]
    return Predictions(places.astype(np.int32), slots)


class RunningSoftmax(NamedTuple):
    """The softmax over the slices so far of the next token at each place of `Predictions`.

    Attributes:
      h: [B, P, D] normed states, as they enter the products.
      largest: [B, P] float32, the largest logit.
      total: [B, P] float32, Σ exp(logit - largest).
      argmax: [B, P] int32, the token of the largest logit; the lowest of equal ones.
    """

    h: Float[Array, "B P D"]
    largest: Float[Array, "B P"]
    total: Float[Array, "B P"]
    argmax: Int[Array, "B P"]


def slices(config: ModelConfig) -> list[range]:
    """The vocabulary cut into token ids of equal number; the last range may reach beyond it."""
    size = min(SLICE, config.vocab_size)
    return [range(start, start + size) for start in range(0, config.vocab_size, size)]


@functools.partial(compiled, static_argnames=("config", "mesh"))
def start_softmax(
    params: tuple[HeadParams, Float[Array, "N D"]],
    state: tuple[Float[Array, "B S D"], Predictions, Int[Array, "B T"]],
    context: Context,
    *,
    config: ModelConfig,
    mesh: Mesh,
) -> tuple[RunningSoftmax, Float[Array, "B T"]]:
    """The state before the first slice, and the logit of every token after the one before it, float32.

    Args:
      params: (parameters of the head's norm, rows of the head's table [N, D]).
      state: (the last block's output [B, T-1, D], `Predictions`, index of each token in those rows [B, T]).
      context: not read.
    """
    graph, _ = modules(
        dataclasses.replace(config, tied_head=True)
    ).head  # without a kernel of its own

    def call(
        params: tuple[HeadParams, Array], state: tuple[Array, Predictions, Array]
    ) -> tuple[RunningSoftmax, Array]:
        norm, table = params
        x, (places, slots), rows = state
        h = nnx.merge(graph, norm).norm(jnp.take_along_axis(x, places[..., None], axis=1))
        h = entering(h, table.dtype, config.rounded_inputs)
        before = jnp.take_along_axis(h, slots[..., None], axis=1).astype(jnp.float32)
        logits = jnp.sum(before * table[rows].astype(jnp.float32), axis=-1)
        shape = h.shape[:2]
        softmax = RunningSoftmax(
            h, jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros(shape, jnp.int32)
        )
        return softmax, logits_of(config, logits)

    del context
    return on_own_rows(call, mesh)(params, state)


@functools.partial(compiled, static_argnames=("config", "mesh"))
def run_slice(
    params: VocabularySlice,
    state: RunningSoftmax,
    context: Context,
    *,
    config: ModelConfig,
    mesh: Mesh,
) -> tuple[RunningSoftmax, None]:
    """The state after one more slice.

    Args:
      params: (first token id, rows of the head's table [SLICE, D]).
      state: of the slices before.
      context: not read.
    """

    def call(params: VocabularySlice, state: RunningSoftmax) -> RunningSoftmax:
        if jax.default_backend() != "cpu":
            return _update(config, state, params)
        start, table = params
        count = CPU_TOKENS if len(table) % CPU_TOKENS == 0 else len(table)
        pieces = (
            start + jnp.arange(0, len(table), count),
            table.reshape(-1, count, table.shape[1]),
        )

        def step(state: RunningSoftmax) -> RunningSoftmax:
            after, _ = jax.lax.scan(
                lambda s, piece: (_update(config, s, piece), None), state, pieces
            )
            return after

        chunks = (-1, _chunk(state.argmax.size))
        cut = jax.tree.map(lambda x: x.reshape(*chunks, *x.shape[2:]), state)
        after = jax.lax.map(step, cut)
        return jax.tree.map(lambda x, old: x.reshape(old.shape), after, state)

    del context
    return on_own_rows(call, mesh)(params, state), None


def _chunk(size: int) -> int:
    """The largest divisor of `size` that is at most `CPU_POSITIONS`."""
    return next(count for count in range(min(size, CPU_POSITIONS), 0, -1) if size % count == 0)


def _update(config: ModelConfig, state: RunningSoftmax, params: VocabularySlice) -> RunningSoftmax:
    start, table = params
    ids = start + jnp.arange(table.shape[0])
    logits = jnp.einsum("...d,cd->...c", state.h, table, preferred_element_type=jnp.float32)
    logits = logits_of(config, logits)
    if config.vocab_size % len(slices(config)[0]):  # the last slice is filled up
        logits = jnp.where(ids < config.vocab_size, logits, -jnp.inf)
    highest = jnp.max(logits, axis=-1)
    largest = jnp.maximum(state.largest, highest)
    # one reading of the logits for both; XLA's own argmax takes as long on CPUs as a third of the product
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
