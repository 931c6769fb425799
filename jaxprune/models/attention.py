"""Causal attention without ever holding all scores: a chunked loop for CPUs, XLA's own kernels elsewhere."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float

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
) -> Float[Array, "B T NH"]:
    """softmax(scale · q kᵀ + slopes · j) v over keys j ≤ i; float32 [B, T, N·H].

    Rows are left-justified, so that pads stand behind every real query and need no mask of their own.
    Both products take `dtype` inputs and sum in float32. `slopes` [N] adds ALiBi's bias. Query head n
    reads key head n // (N / K).
    """
    B, T, N, H = q.shape
    q, k, v = (q * scale).astype(dtype), k.astype(dtype), v.astype(dtype)
    if jax.default_backend() == "cpu":
        out = _chunked(q, k, v, slopes)
    else:
        out = jax.nn.dot_product_attention(
            q, k, v, bias=_alibi_bias(slopes, T), scale=1.0, is_causal=True
        )
    return out.reshape(B, T, N * H).astype(jnp.float32)


def _alibi_bias(slopes: np.ndarray | None, T: int) -> Array | None:
    if slopes is None:
        return None
    return jnp.asarray(slopes)[None, :, None, None] * jnp.arange(T, dtype=jnp.float32)


def _chunked(q: Array, k: Array, v: Array, slopes: np.ndarray | None) -> Array:
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

    def one_head(args: tuple[Array, Array, Array, Array]) -> Array:
        q, k, v, slope = args
        chunks = []
        for start in range(0, T, chunk):
            stop = min(start + chunk, T)
            scores = product("gth,sh->gts", q[:, start:stop], k[:stop])
            if slopes is not None:
                scores += slope[:, None, None] * jnp.arange(stop, dtype=jnp.float32)
            causal = jnp.arange(start, stop)[:, None] >= jnp.arange(stop)
            scores = jnp.where(causal, scores, -jnp.inf)
            weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
            total = jnp.sum(weights, axis=-1, keepdims=True)
            out = product("gts,sh->gth", weights.astype(v.dtype), v[:stop])
            chunks.append(out / total)
        return jnp.concatenate(chunks, axis=1)

    out = jax.lax.map(one_head, (grouped, keys, values, jnp.tile(bias, (B, 1))))
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4)
