"""The path that supports all options on all platforms: chunks of keys, with a running softmax.

All rows and heads at once. Only the scores of one chunk of queries and one of keys are stored at a time, so memory
does not grow with the square of a row's length.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jaxprune.models.attention.scoring import Prefix, Scoring, capped, ends_of, positions_of, within
from jaxprune.models.positions import Tree
from jaxprune.models.products import cast_for_matmul

# Queries and keys of a chunk: the largest size whose scores, for all rows and heads, fit SCORE_BYTES, and so the cache
# of a GPU. Below the last size, the steps would take longer than the products.
CHUNKS = (512, 256, 128)
SCORE_BYTES = 32 * 1024 * 1024
# The score of a key that a query does not see. It is finite, because a query may see no key of a chunk. The sums of
# such a chunk are multiplied by exp(_UNSEEN - largest) = 0 at the first key that the query sees.
_UNSEEN = -1e30


class _Keys(NamedTuple):
    """All keys, the prefix first, padded to full chunks.

    Attributes:
      keys, values: [B, S, K, H].
      order: [S], a query sees the keys whose order is at most its own index in the row.
      ends: [B, S], end of each key's subtree, up to which queries see the key; None without trees.
      positions: [B, S], or [1, S] if equal in all rows.
    """

    keys: Float[Array, "B S K H"]
    values: Float[Array, "B S K H"]
    order: Int[Array, " S"]
    ends: Int[Array, "B S"] | None
    positions: Int[Array, "rows S"]

    def chunk(self, number: Int[Array, ""], size: int) -> "_Keys":
        """The chunk of this number, of `size` keys."""

        def cut(x: Array, axis: int = 1) -> Array:
            return jax.lax.dynamic_slice_in_dim(x, number * size, size, axis)

        ends = None if self.ends is None else cut(self.ends)
        return _Keys(
            cut(self.keys), cut(self.values), cut(self.order, 0), ends, cut(self.positions)
        )


class _Sums(NamedTuple):
    """Sums over the keys so far, for each query: Σ w v, Σ w with w = exp(score - largest), the largest score."""

    out: Float[Array, "B K G t H"]
    total: Float[Array, "B K G t"]
    largest: Float[Array, "B K G t"]


def chunk_of(heads: int) -> int:
    """Queries and keys of a chunk, for a number of heads over all rows."""
    return next((c for c in CHUNKS if 4 * heads * c * c <= SCORE_BYTES), CHUNKS[-1])


def scores_of(heads: int) -> int:
    """Bytes of a chunk's scores, for a number of heads over all rows."""
    return 4 * heads * chunk_of(heads) ** 2


def by_keys(
    q: Array,
    k: Array,
    v: Array,
    prefix: Prefix | None,
    *,
    scoring: Scoring,
    window: int | None,
    tree: Tree | None,
) -> Float[Array, "B T N H"]:
    """For each chunk of queries, a scan over the chunks of keys that any of them sees."""
    B, T, N, H = q.shape
    K = k.shape[2]
    P = 0 if prefix is None else prefix.size
    chunk = chunk_of(B * N)
    size = min(chunk, P + T)  # of keys
    all_keys = _all_keys(k, v, prefix, tree, size)
    grouped = q.reshape(B, T, K, N // K, H)
    outs = []
    for start in range(0, T, chunk):
        stop = min(start + chunk, T)
        first = 0
        if window is not None and prefix is None and tree is None:
            # otherwise the keys of a window may be anywhere before the query
            first = max(0, start + 1 - window) // size
        step = functools.partial(
            _step, grouped[:, start:stop], jnp.arange(start, stop),
            all_keys.positions[:, P + start : P + stop], all_keys,
            scoring=scoring, window=window, size=size,
        )  # fmt: skip
        shape = (B, K, N // K, stop - start)
        initial = _Sums(jnp.zeros((*shape, H)), jnp.zeros(shape), jnp.full(shape, _UNSEEN))
        sums, _ = jax.lax.scan(step, initial, jnp.arange(first, -(-(P + stop) // size)))
        outs.append(sums.out / sums.total[..., None])
    return jnp.concatenate(outs, axis=3).transpose(0, 3, 1, 2, 4).reshape(B, T, N, H)


def _all_keys(k: Array, v: Array, prefix: Prefix | None, tree: Tree | None, size: int) -> _Keys:
    B, T = k.shape[:2]
    order = jnp.arange(T)
    ends = None if tree is None else ends_of(tree)
    if prefix is not None:
        k, v = (
            jnp.concatenate([jnp.tile(before.transpose(1, 0, 2), (B, 1, 1, 1)), after], axis=1)
            for before, after in zip(prefix[:2], (k, v), strict=True)
        )
        # every query sees the keys in the prefix, and none its unused room
        before = jnp.where(jnp.arange(prefix.size) < prefix.length, -1, T)
        order = jnp.concatenate([before, order])
        if ends is not None:
            ends = jnp.pad(ends, ((0, 0), (prefix.size, 0)), constant_values=T)
    more = -len(order) % size

    def filled(x: Array, axis: int, value: int = 0) -> Array:
        widths = [(0, more if i == axis else 0) for i in range(x.ndim)]
        return jnp.pad(x, widths, constant_values=value)

    positions = filled(positions_of(T, tree, prefix), 1)
    ends = None if ends is None else filled(ends, 1)
    return _Keys(filled(k, 1), filled(v, 1), filled(order, 0, T), ends, positions)


def _step(
    q: Float[Array, "B t K G H"],
    places: Int[Array, " t"],
    positions: Int[Array, "rows t"],
    all_keys: _Keys,
    sums: _Sums,
    number: Int[Array, ""],
    *,
    scoring: Scoring,
    window: int | None,
    size: int,
) -> tuple[_Sums, None]:
    """The sums with the chunk of this number added."""
    chunk = all_keys.chunk(number, size)
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    scores = capped(product("btkgh,bskh->bkgts", q, chunk.keys), scoring.softcap)
    if scoring.slopes is not None:
        slopes = jnp.asarray(scoring.slopes).reshape(q.shape[2:4])[:, :, None, None]
        scores += slopes * chunk.positions[:, None, None, None].astype(jnp.float32)
    visible = _visible(places, positions, chunk, window)[:, None, None]
    scores = jnp.where(visible, scores, _UNSEEN)
    largest = jnp.maximum(sums.largest, jnp.max(scores, axis=-1))
    weights = jnp.exp(scores - largest[..., None])
    factors = cast_for_matmul(weights, chunk.values.dtype, scoring.rounded)
    out = product("bkgts,bskh->bkgth", factors, chunk.values)
    kept = jnp.exp(sums.largest - largest)
    total = kept * sums.total + jnp.sum(weights, axis=-1)
    return _Sums(kept[..., None] * sums.out + out, total, largest), None


def _visible(
    places: Int[Array, " t"], positions: Int[Array, "rows t"], keys: _Keys, window: int | None
) -> Bool[Array, "rows t s"]:
    """True where a query sees a key."""
    visible = (places[:, None] >= keys.order)[None]
    if keys.ends is not None:
        visible = visible & (places[:, None] < keys.ends[:, None])
    if window is not None:
        visible = visible & within(positions, keys.positions, window)
    return visible
