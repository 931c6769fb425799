"""Causal attention without ever holding all scores: a chunked loop for CPUs, XLA's own kernels elsewhere."""

from __future__ import annotations

import functools

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


def causal_attention(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    scale: float,
    dtype: DTypeLike,
    slopes: np.ndarray | None = None,
    tree: Tree | None = None,
) -> Float[Array, "B T NH"]:
    """softmax(scale · q kᵀ + slopes · position) v over keys j ≤ i; float32 [B, T, N·H].

    Rows are left-justified, so that pads stand behind every real query and need no mask of their own.
    Both products take `dtype` inputs and sum in float32. `slopes` [N] adds ALiBi's bias. Query head n
    reads key head n // (N / K). In rows that hold a `tree` a query sees its ancestors and itself only.
    """
    B, T, N, H = q.shape
    q, k, v = (q * scale).astype(dtype), k.astype(dtype), v.astype(dtype)
    if jax.default_backend() == "cpu":
        out = _chunked(q, k, v, slopes, tree)
    else:
        mask = None if tree is None else _visible(jnp.arange(T), T, _last(tree.ends))[:, None]
        out = jax.nn.dot_product_attention(
            q, k, v, bias=_alibi_bias(slopes, T, tree), mask=mask, scale=1.0, is_causal=tree is None
        )
    return out.reshape(B, T, N * H).astype(jnp.float32)


def _alibi_bias(slopes: np.ndarray | None, T: int, tree: Tree | None) -> Array | None:
    if slopes is None:
        return None
    positions = jnp.arange(T)[None] if tree is None else tree.depth
    return jnp.asarray(slopes)[:, None, None] * positions[:, None, None].astype(jnp.float32)


def _last(ends: Int[Array | np.ndarray, "B T"]) -> Int[Array, "B T"]:
    """Every token sees itself, in rows of pads too: a softmax over nothing would be NaN."""
    return jnp.maximum(ends, jnp.arange(1, ends.shape[1] + 1, dtype=ends.dtype))


def _visible(
    queries: Int[Array, " t"], count: int, ends: Int[Array, "*B T"] | None
) -> Bool[Array, "*B t s"]:
    """Which of the first `count` keys each query sees: those not after it, in whose subtree it is."""
    causal = queries[:, None] >= jnp.arange(count)
    return causal if ends is None else causal & (queries[:, None] < ends[..., None, :count])


def softmax_parts(scores: Array, visible: Bool[Array, ...]) -> tuple[Array, Array]:
    """exp(scores - largest), 0 where not visible, and their sums over keys: the products divide afterwards."""
    scores = jnp.where(visible, scores, -jnp.inf)
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    return weights, jnp.sum(weights, axis=-1, keepdims=True)


def _chunked(q: Array, k: Array, v: Array, slopes: np.ndarray | None, tree: Tree | None) -> Array:
    """One (row, key head) at a time; its G query heads share each product.

    XLA on CPUs would write [B, N, T, T] to memory; here one chunk of scores stays in cache and the
    upper triangle is left out chunk by chunk.
    """
    B, T, N, H = q.shape
    K = k.shape[2]
    G = N // K
    chunk = max(32, min(QUERIES, SCORE_BYTES // (4 * G * T) // 32 * 32))
    grouped = q.reshape(B, T, K, G, H).transpose(0, 2, 3, 1, 4).reshape(B * K, G, T, H)
    keys, values = (x.transpose(0, 2, 1, 3).reshape(B * K, T, H) for x in (k, v))
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    bias = jnp.zeros((K, G), jnp.float32) if slopes is None else jnp.asarray(slopes).reshape(K, G)
    last = None if tree is None else _last(tree.ends)

    def one_head(args: tuple[Array, Array, Array, Array, Array]) -> Array:
        q, k, v, slope, row = args
        positions = (jnp.arange(T) if tree is None else tree.depth[row]).astype(jnp.float32)
        ends = None if last is None else last[row]
        chunks = []
        for start in range(0, T, chunk):
            stop = min(start + chunk, T)
            scores = product("gth,sh->gts", q[:, start:stop], k[:stop])
            if slopes is not None:
                scores += slope[:, None, None] * positions[:stop]
            visible = _visible(jnp.arange(start, stop), stop, ends)
            weights, total = softmax_parts(scores, visible)
            out = product("gts,sh->gth", weights.astype(v.dtype), v[:stop])
            chunks.append(out / total)
        return jnp.concatenate(chunks, axis=1)

    rows = jnp.repeat(jnp.arange(B), K)
    out = jax.lax.map(one_head, (grouped, keys, values, jnp.tile(bias, (B, 1)), rows))
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4)
