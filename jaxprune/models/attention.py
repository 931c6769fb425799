"""Queries, keys and values → causal attention: in chunks of queries on CPUs, by XLA's attention elsewhere.

On CPUs the scores of one chunk are all that is ever held. Elsewhere XLA decides: without a fused kernel
for the shapes at hand it holds those of all queries, [B, N, T, P + T].
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from jaxprune.models.positions import Tree

# One step of the CPU loop: at most so many queries, because what a chunk computes above the diagonal
# is lost, and so few bytes of scores that they stay in a core's L2 cache.
QUERIES = 64
SCORE_BYTES = 512 * 1024


class Prefix(NamedTuple):
    """Keys and values of tokens that stand before the first token of every row.

    Attributes:
      keys, values: [K, P, H] in the dtype of the products.
      length: [] int32, how many of the P are there, the first ones; the row's own positions begin here.
    """

    keys: Float[Array, "K P H"]
    values: Float[Array, "K P H"]
    length: Int[Array, ""]

    @property
    def size(self) -> int:
        """P, how many there is room for."""
        return self.keys.shape[1]


def causal_attention(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    scale: float,
    dtype: DTypeLike,
    slopes: np.ndarray | None = None,
    tree: Tree | None = None,
    prefix: Prefix | None = None,
) -> Float[Array, "B T NH"]:
    """softmax(scale · q kᵀ + slopes · position) v over keys j ≤ i; float32 [B, T, N·H].

    Rows are left-justified, so that pads stand behind every real query and need no mask of their own.
    Both products take `dtype` inputs and sum in float32. `slopes` [N] adds ALiBi's bias. Query head n
    reads key head n // (N / K). In rows that hold a `tree` a query sees its ancestors and itself only.
    Every query sees the whole `prefix`.
    """
    B, T, N, H = q.shape
    q, k, v = (q * scale).astype(dtype), k.astype(dtype), v.astype(dtype)
    attend = _chunked if jax.default_backend() == "cpu" else _by_xla
    return attend(q, k, v, slopes, tree, prefix).reshape(B, T, N * H).astype(jnp.float32)


def _positions(T: int, tree: Tree | None, prefix: Prefix | None) -> Int[Array, "rows S"]:
    """The position of every key, S = P + T, in each row; one row stands for all without a tree."""
    positions = jnp.arange(T)[None] if tree is None else jnp.asarray(tree.depth)
    if prefix is None:
        return positions
    before = jnp.broadcast_to(jnp.arange(prefix.size), (len(positions), prefix.size))
    return jnp.concatenate([before, prefix.length + positions], axis=1)


def _last(ends: Int[Array | np.ndarray, "B T"]) -> Int[Array, "B T"]:
    """Every token sees itself, in rows of pads too: a softmax over nothing would be NaN."""
    return jnp.maximum(ends, jnp.arange(1, ends.shape[1] + 1, dtype=ends.dtype))


def _visible(
    queries: Int[Array, " t"],
    count: int,
    ends: Int[Array, "*B T"] | None,
    prefix: Prefix | None,
) -> Bool[Array, "*B t S"]:
    """Which keys each query sees: the prefix and, of its row's first `count`, those in whose subtree it is.

    No query sees a key after it. S = P + count.
    """
    visible = queries[:, None] >= jnp.arange(count)
    if ends is not None:
        visible &= queries[:, None] < ends[..., None, :count]
    if prefix is None:
        return visible
    is_there = jnp.arange(prefix.size) < prefix.length
    before = jnp.broadcast_to(is_there, (*visible.shape[:-1], len(is_there)))
    return jnp.concatenate([before, visible], axis=-1)


def _by_xla(
    q: Array,
    k: Array,
    v: Array,
    slopes: np.ndarray | None,
    tree: Tree | None,
    prefix: Prefix | None,
) -> Float[Array, "B T N H"]:
    """All rows and heads in one call."""
    B, T = q.shape[:2]
    bias = mask = None
    if slopes is not None:
        positions = _positions(T, tree, prefix).astype(jnp.float32)
        bias = jnp.asarray(slopes)[:, None, None] * positions[:, None, None]
    if tree is not None or prefix is not None:
        ends = None if tree is None else _last(tree.ends)
        visible = _visible(jnp.arange(T), T, ends, prefix)
        mask = visible[None, None] if tree is None else visible[:, None]
    if prefix is not None:
        k, v = (
            jnp.concatenate([jnp.tile(before.transpose(1, 0, 2), (B, 1, 1, 1)), after], axis=1)
            for before, after in zip(prefix[:2], (k, v), strict=True)
        )
    return jax.nn.dot_product_attention(
        q, k, v, bias=bias, mask=mask, scale=1.0, is_causal=mask is None
    )


def _chunked(
    q: Array,
    k: Array,
    v: Array,
    slopes: np.ndarray | None,
    tree: Tree | None,
    prefix: Prefix | None,
) -> Float[Array, "B T N H"]:
    """One (row, key head) at a time; its G query heads share each product.

    XLA on CPUs would write [B, N, T, T] to memory; here one chunk of scores stays in cache and the
    upper triangle is left out chunk by chunk.
    """
    B, T, N, H = q.shape
    K = k.shape[2]
    G = N // K
    P = 0 if prefix is None else prefix.size
    chunk = max(32, min(QUERIES, SCORE_BYTES // (4 * G * (P + T)) // 32 * 32))
    grouped = q.reshape(B, T, K, G, H).transpose(0, 2, 3, 1, 4).reshape(B * K, G, T, H)
    keys, values = (x.transpose(0, 2, 1, 3).reshape(B * K, T, H) for x in (k, v))
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    bias = jnp.zeros((K, G), jnp.float32) if slopes is None else jnp.asarray(slopes).reshape(K, G)
    every_position = _positions(T, tree, prefix).astype(jnp.float32)
    last = None if tree is None else _last(tree.ends)

    def one_head(args: tuple[Array, ...]) -> Array:
        q, k, v, slope, row, head = args
        if prefix is not None:
            k = jnp.concatenate([prefix.keys[head], k])
            v = jnp.concatenate([prefix.values[head], v])
        positions = every_position[0 if tree is None else row]
        ends = None if last is None else last[row]
        chunks = []
        for start in range(0, T, chunk):
            stop = min(start + chunk, T)
            scores = product("gth,sh->gts", q[:, start:stop], k[: P + stop])
            if slopes is not None:
                scores += slope[:, None, None] * positions[: P + stop]
            visible = _visible(jnp.arange(start, stop), stop, ends, prefix)
            weights, total = _softmax_parts(scores, visible)
            out = product("gts,sh->gth", weights.astype(v.dtype), v[: P + stop])
            chunks.append(out / total)
        return jnp.concatenate(chunks, axis=1)

    rows, heads = (x.ravel() for x in jnp.indices((B, K)))
    arguments = (grouped, keys, values, jnp.tile(bias, (B, 1)), rows, heads)
    out = jax.lax.map(one_head, arguments)
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4).reshape(B, T, N, H)


def _softmax_parts(scores: Array, visible: Array) -> tuple[Array, Array]:
    """exp(scores - largest), 0 where not visible, and their sums over keys: the products divide afterwards."""
    scores = jnp.where(visible, scores, -jnp.inf)
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    return weights, jnp.sum(weights, axis=-1, keepdims=True)
