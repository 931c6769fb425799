"""Queries, keys and values → causal attention: in chunks of queries on CPUs, by XLA's attention elsewhere.

On CPUs the scores of one chunk are all that is ever held. Elsewhere XLA decides: without a fused kernel
for the shapes at hand it holds those of all queries, [B, N, T, P + T].
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxprune.models.positions import Kind, Tree, checked_kind
from jaxprune.models.products import entering

# One step of the CPU loop: at most so many queries, because what a chunk computes above the diagonal
# is lost, and so few bytes of scores that they stay in a core's L2 cache.
QUERIES = 64
SCORE_BYTES = 512 * 1024


class Scoring(NamedTuple):
    """How the queries of a model score keys, and how far back they look.

    Attributes:
      scale: multiplies q·k.
      slopes: ALiBi's slope of each head [N], or None.
      softcap: scores become c·tanh(score / c); None: they stay as they are.
      windows: of each kind of layer, how many keys a query sees, itself included; None: all before it.
      rounded: what enters products is rounded to bfloat16, which is float32; on CPUs only.
    """

    scale: float
    slopes: np.ndarray | None = None
    softcap: float | None = None
    windows: tuple[int | None, ...] = (None,)
    rounded: bool = False


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
    dtype: DTypeLike,
    scoring: Scoring,
    kind: Kind = None,
    tree: Tree | None = None,
    prefix: Prefix | None = None,
) -> Float[Array, "B T NH"]:
    """softmax(scale · q kᵀ + slopes · position) v over keys j ≤ i; float32 [B, T, N·H].

    Rows are left-justified, so that pads stand behind every real query and need no mask of their own.
    Both products take `dtype` inputs and sum in float32. Query head n reads key head n // (N / K). In
    rows that hold a `tree` a query sees its ancestors and itself only. Every query sees the whole
    `prefix`. With the window w of the layer's `kind`, keys of positions at or below i - w are not seen.
    """
    B, T, N, H = q.shape
    q, k, v = (entering(x, dtype, scoring.rounded) for x in (q * scoring.scale, k, v))
    path = _chunked if jax.default_backend() == "cpu" else _by_xla

    def within(window: int | None) -> Callable[..., Array]:
        return functools.partial(path, scoring=scoring, window=window, tree=tree)

    S = T if prefix is None else T + prefix.size
    windows = [None if w is None or w >= S else w for w in scoring.windows]
    # Branches, each with its own chunks: what lies outside a window that is known is not computed.
    if len({*windows}) == 1:
        out = within(windows[0])(q, k, v, prefix)
    else:
        out = jax.lax.switch(checked_kind(kind), [within(w) for w in windows], q, k, v, prefix)
    return out.reshape(B, T, N * H).astype(jnp.float32)


def capped(scores: Float[Array, "*shape"], limit: float | None) -> Float[Array, "*shape"]:
    """c·tanh(x / c), between -c and c; as they are without a limit."""
    return scores if limit is None else limit * jnp.tanh(scores / limit)


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
    keys: range,
    ends: Int[Array, "*B T"] | None,
    prefix: Prefix | None,
) -> Bool[Array, "*B t S"]:
    """Which keys each query sees: the prefix and, of its row's own `keys`, those in whose subtree it is.

    No query sees a key after it. S = P + s.
    """
    visible = queries[:, None] >= jnp.arange(keys.start, keys.stop)
    if ends is not None:
        visible &= queries[:, None] < ends[..., None, keys.start : keys.stop]
    if prefix is None:
        return visible
    is_there = jnp.arange(prefix.size) < prefix.length
    before = jnp.broadcast_to(is_there, (*visible.shape[:-1], len(is_there)))
    return jnp.concatenate([before, visible], axis=-1)


def _by_xla(
    q: Array,
    k: Array,
    v: Array,
    prefix: Prefix | None,
    *,
    scoring: Scoring,
    window: int | None,
    tree: Tree | None,
) -> Float[Array, "B T N H"]:
    """All rows and heads in one call."""
    B, T = q.shape[:2]
    positions = _positions(T, tree, prefix)
    bias = mask = None
    if scoring.slopes is not None:
        places = positions.astype(jnp.float32)
        bias = jnp.asarray(scoring.slopes)[:, None, None] * places[:, None, None]
    if not (tree is None and prefix is None and window is None):
        ends = None if tree is None else _last(tree.ends)
        visible = _visible(jnp.arange(T), range(T), ends, prefix)
        if window is not None:
            visible = visible & _within(positions[:, -T:], positions, window)
        mask = visible[None, None] if visible.ndim == 2 else visible[:, None]
    if prefix is not None:
        k, v = (
            jnp.concatenate([jnp.tile(before.transpose(1, 0, 2), (B, 1, 1, 1)), after], axis=1)
            for before, after in zip(prefix[:2], (k, v), strict=True)
        )
    if scoring.softcap is not None:
        return _softcapped(q, k, v, mask, scoring.softcap)
    return jax.nn.dot_product_attention(
        q, k, v, bias=bias, mask=mask, scale=1.0, is_causal=mask is None
    )


def _softcapped(
    q: Array, k: Array, v: Array, mask: Array | None, softcap: float
) -> Float[Array, "B T N H"]:
    """With capped scores, which `dot_product_attention` does not know."""
    B, T, N, H = q.shape
    K = k.shape[2]
    grouped = q.reshape(B, T, K, N // K, H)
    scores = jnp.einsum("btkgh,bskh->bkgts", grouped, k, preferred_element_type=jnp.float32)
    visible = jnp.tri(T, dtype=bool)[None, None] if mask is None else mask
    weights, total = _softmax_parts(capped(scores, softcap), visible[:, :, None])
    out = jnp.einsum(
        "bkgts,bskh->bkgth", weights.astype(v.dtype), v, preferred_element_type=jnp.float32
    )
    return (out / total).transpose(0, 3, 1, 2, 4).reshape(B, T, N, H)


def _within(
    queries: Int[Array, "*B t"], keys: Int[Array, "*B s"], window: int
) -> Bool[Array, "*B t s"]:
    """Which keys lie within the window of each query, by their positions."""
    return queries[..., :, None] - keys[..., None, :] < window


def _chunked(
    q: Array,
    k: Array,
    v: Array,
    prefix: Prefix | None,
    *,
    scoring: Scoring,
    window: int | None,
    tree: Tree | None,
) -> Float[Array, "B T N H"]:
    """One (row, key head) at a time; its G query heads share each product.

    XLA on CPUs would write [B, N, T, T] to memory; here one chunk of scores stays in cache, and the
    upper triangle and what lies before all windows is left out chunk by chunk.
    """
    B, T, N, H = q.shape
    K = k.shape[2]
    G = N // K
    P = 0 if prefix is None else prefix.size
    chunk = max(32, min(QUERIES, SCORE_BYTES // (4 * G * (P + T)) // 32 * 32))
    grouped = q.reshape(B, T, K, G, H).transpose(0, 2, 3, 1, 4).reshape(B * K, G, T, H)
    keys, values = (x.transpose(0, 2, 1, 3).reshape(B * K, T, H) for x in (k, v))
    product = functools.partial(jnp.einsum, preferred_element_type=jnp.float32)
    slopes = scoring.slopes
    bias = jnp.zeros((K, G), jnp.float32) if slopes is None else jnp.asarray(slopes).reshape(K, G)
    every_position = _positions(T, tree, prefix)
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
            # in a tree the keys of a window may lie anywhere before the query
            first = 0 if window is None or tree is not None else max(0, start + 1 - window)
            cut = functools.partial(_cut, size=P, first=first, stop=stop)
            scores = capped(product("gth,sh->gts", q[:, start:stop], cut(k)), scoring.softcap)
            if slopes is not None:
                scores += slope[:, None, None] * cut(positions).astype(jnp.float32)
            visible = _visible(jnp.arange(start, stop), range(first, stop), ends, prefix)
            if window is not None:
                visible &= _within(positions[P + start : P + stop], cut(positions), window)
            weights, total = _softmax_parts(scores, visible)
            weights = entering(weights, v.dtype, scoring.rounded)
            out = product("gts,sh->gth", weights, cut(v))
            chunks.append(out / total)
        return jnp.concatenate(chunks, axis=1)

    rows, heads = (x.ravel() for x in jnp.indices((B, K)))
    arguments = (grouped, keys, values, jnp.tile(bias, (B, 1)), rows, heads)
    out = jax.lax.map(one_head, arguments)
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4).reshape(B, T, N, H)


def _cut(keys: Shaped[Array, "S ..."], *, size: int, first: int, stop: int) -> Array:
    """Of keys behind a prefix of `size` those first…stop-1, and the prefix."""
    if first == 0:
        return keys[: size + stop]
    return jnp.concatenate([keys[:size], keys[size + first : size + stop]])


def _softmax_parts(scores: Array, visible: Array) -> tuple[Array, Array]:
    """exp(scores - largest), 0 where not visible, and their sums over keys: the products divide afterwards."""
    scores = jnp.where(visible, scores, -jnp.inf)
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    return weights, jnp.sum(weights, axis=-1, keepdims=True)
