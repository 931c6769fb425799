"""States after the last block → the next tokens, by greedy decoding or beam search, and the generated sequences.

A strategy works on rows: it chooses the next tokens of all rows at once, and rows can be dropped. Rows that are not
`open` have their final sequence, and their next tokens are ignored. Rows of `lost` have logits without a finite
maximum.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices.sharding import by_rows, compiled_by_rows
from jaxprune.evaluation.generation.resident import Head, Resident
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import modules


class Request(NamedTuple):
    """The sequences to generate for each prompt.

    Attributes:
      new_tokens: limit on the generated tokens.
      stops: [V] whether a token ends a sequence.
      beams: 1 for greedy decoding.
    """

    new_tokens: int
    stops: Bool[np.ndarray, " V"]
    beams: int


class NextTokens(NamedTuple):
    """The next tokens.

    Attributes:
      tokens: [B, M] int32, on the devices.
      parents: [B, M] int32, the beam that each of them extends; None for one beam.
    """

    tokens: Int[Array, "B M"]
    parents: Int[Array, "B M"] | None


def _logits(x: Float[Array, "B M D"], head: Head, config: ModelConfig) -> Float[Array, "B M V"]:
    params, table = head
    return nnx.merge(modules(config).head[0], params)(x, table)


@functools.partial(compiled_by_rows, static_argnames=("config",))
def likeliest(
    x: Float[Array, "B M D"], *, head: Head, config: ModelConfig
) -> tuple[Int[Array, "B M"], Bool[Array, "B M"]]:
    """The token of the largest logit (of equal ones, the lowest id), and whether that logit is finite."""
    logits = _logits(x, head, config)
    chosen = jnp.argmax(logits, axis=-1)  # the first of NaNs
    largest = jnp.take_along_axis(logits, chosen[..., None], axis=-1)[..., 0]
    return chosen.astype(jnp.int32), jnp.isfinite(largest)


class GreedyDecoding:
    """The likeliest token at each step, until a stop token or the limit."""

    def __init__(self, model: Resident, is_row: Bool[np.ndarray, " B"], request: Request) -> None:
        self.open, self.lost = is_row.copy(), np.zeros_like(is_row)
        self._model, self._request = model, request
        self._sequences: list[list[int]] = [[] for _ in is_row]

    def choose(self, x: Float[Array, "B 1 D"]) -> NextTokens:
        """The next token of every row, from the last block's output."""
        model = self._model
        chosen, finite = likeliest(x, head=model.head, config=model.config, mesh=model.mesh)
        tokens = np.asarray(chosen)[:, 0]
        self.lost = self.open & ~np.asarray(finite)[:, 0]
        self.open &= ~self._request.stops[tokens]
        for row in np.flatnonzero(self.open):
            self._sequences[row].append(int(tokens[row]))
            self.open[row] = len(self._sequences[row]) < self._request.new_tokens
        return NextTokens(chosen, None)

    def sequence(self, row: int) -> list[int]:
        """The tokens of a row, without a stop token."""
        return self._sequences[row]

    def keep(self, rows: Int[np.ndarray, " b"]) -> None:
        """Drops all other rows."""
        self.open = self.open[rows]
        self._sequences = [self._sequences[row] for row in rows]


@functools.partial(compiled_by_rows, static_argnames=("config",))
def continuations(
    x: Float[Array, "B M D"],
    scores: Float[Array, "B M"],
    *,
    head: Head,
    stops: Bool[Array, " V"],
    config: ModelConfig,
) -> tuple[Sequence[Array], Sequence[Array]]:
    """The M best continuations of the M beams, and the M best without a stop token, best first.

    Both are a pair of scores and indices beam · V + token, [B, M] each.

    Args:
      x: output of the last block.
      scores: log-probability of each beam so far.
      head: of the model.
      stops: whether a token ends a sequence.
      config: of the model.
    """
    logits = _logits(x, head, config)
    total = jax.nn.log_softmax(logits, axis=-1) + scores[..., None]
    going_on = jnp.where(stops, -jnp.inf, total)
    rows, beams = scores.shape
    every, continuing = (jax.lax.top_k(y.reshape(rows, -1), beams) for y in (total, going_on))
    return every, continuing


class BeamSearch:
    """Beam search as in transformers' `generate(num_beams=…, early_stopping=False)`.

    Among the M likeliest continuations of a row, those that end are kept with the score (sum of
    log-probabilities) / length, including the stop token. The M likeliest without a stop token are extended. A
    row is done when M sequences have ended and the best beam, at its current length, does not score higher than
    the worst of them.
    """

    def __init__(self, model: Resident, is_row: Bool[np.ndarray, " B"], request: Request) -> None:
        self.open, self.lost = is_row.copy(), np.zeros_like(is_row)
        self._model, self._request = model, request
        rows, beams = len(is_row), request.beams
        self._length = 0
        # All beams are equal at the start: only one of them may be extended.
        self._scores = np.full((rows, beams), -1e9, np.float32)
        self._scores[:, 0] = 0
        self._running = np.zeros((rows, beams, 0), np.int32)
        self._finished: list[list[tuple[float, list[int]]]] = [[] for _ in range(rows)]

    def choose(self, x: Float[Array, "B M D"]) -> NextTokens:
        """The next token of every beam, from the last block's output."""
        model, share = self._model, by_rows(self._model.mesh)
        (scores, indices), (going_scores, going_indices) = jax.device_get(
            continuations(
                x, self._scores, head=model.head, stops=self._request.stops,
                config=model.config, mesh=model.mesh,
            )
        )  # fmt: skip
        self.lost = self.open & ~(scores < np.inf).all(axis=1)
        self._length += 1
        size = model.config.vocab_size
        for row in np.flatnonzero(self.open).tolist():
            ends = np.divmod(indices[row], size)
            self._end(row, scores[row] / self._length, *ends)
            full = len(self._finished[row]) == self._request.beams
            worst = self._finished[row][-1][0] if full else -np.inf
            best = going_scores[row, 0] / self._length
            self.open[row] = best > worst and self._length < self._request.new_tokens
        parents, tokens = (part.astype(np.int32) for part in np.divmod(going_indices, size))
        before = np.take_along_axis(self._running, parents[..., None], axis=1)
        self._running = np.concatenate([before, tokens[..., None]], axis=-1)
        self._scores = going_scores
        return NextTokens(jax.device_put(tokens, share), jax.device_put(parents, share))

    def _end(self, row: int, scores: np.ndarray, parents: np.ndarray, tokens: np.ndarray) -> None:
        """Adds the continuations that end, and keeps the best M of all ended ones, in descending order."""
        finished = self._finished[row]
        for score, parent, token in zip(scores, parents, tokens, strict=True):
            stops = self._request.stops[token]
            if stops or self._length == self._request.new_tokens:
                sequence = self._running[row, parent].tolist()
                finished.append((float(score), sequence if stops else [*sequence, int(token)]))
        finished.sort(key=lambda scored: -scored[0])
        del finished[self._request.beams :]

    def sequence(self, row: int) -> list[int]:
        """The best ended sequence of a row, without its stop token."""
        return self._finished[row][0][1]

    def keep(self, rows: Int[np.ndarray, " b"]) -> None:
        """Drops all other rows."""
        self.open, self._scores, self._running = (
            array[rows] for array in (self.open, self._scores, self._running)
        )
        self._finished = [self._finished[row] for row in rows]
