"""The path of CPUs: one (row, key head) at a time, in chunks of queries whose scores fit a core's cache.

Only the scores of one chunk are stored at a time.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from jaxprune.models.attention.scoring import Prefix, Scoring, capped, ends_of, positions_of, within
from jaxprune.models.positions import Tree
from jaxprune.models.products import cast_for_matmul

# Limits of one chunk: queries, because scores above the diagonal are computed in vain, and bytes of scores, which fit
# a core's L2 cache.
QUERIES = 64
SCORE_BYTES = 512 * 1024


def by_heads(
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

    XLA on CPUs would write [B, N, T, T] to memory; here one chunk of scores stays in cache, and
    chunks above the diagonal or before all windows are skipped.
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
    all_positions = positions_of(T, tree, prefix)
    last = None if tree is None else ends_of(tree)

    def one_head(args: tuple[Array, ...]) -> Array:
        q, k, v, slope, row, head = args
        if prefix is not None:
            k = jnp.concatenate([prefix.keys[head], k])
            v = jnp.concatenate([prefix.values[head], v])
        positions = all_positions[0 if tree is None else row]
        ends = None if last is None else last[row]
        chunks = []
        for start in range(0, T, chunk):
            stop = min(start + chunk, T)
            # in a tree the keys of a window may be anywhere before the query
            first = 0 if window is None or tree is not None else max(0, start + 1 - window)
            cut = functools.partial(_cut, size=P, first=first, stop=stop)
            scores = capped(product("gth,sh->gts", q[:, start:stop], cut(k)), scoring.softcap)
            if slopes is not None:
                scores += slope[:, None, None] * cut(positions).astype(jnp.float32)
            visible = _visible(jnp.arange(start, stop), range(first, stop), ends, prefix)
            if window is not None:
                visible &= within(positions[P + start : P + stop], cut(positions), window)
            weights, total = _softmax_parts(scores, visible)
            weights = cast_for_matmul(weights, v.dtype, scoring.rounded)
            out = product("gts,sh->gth", weights, cut(v))
            chunks.append(out / total)
        return jnp.concatenate(chunks, axis=1)

    rows, heads = (x.ravel() for x in jnp.indices((B, K)))
    arguments = (grouped, keys, values, jnp.tile(bias, (B, 1)), rows, heads)
    out = jax.lax.map(one_head, arguments)
    return out.reshape(B, K, G, T, H).transpose(0, 3, 1, 2, 4).reshape(B, T, N, H)


def _visible(
    queries: Int[Array, " t"], keys: range, ends: Int[Array, " T"] | None, prefix: Prefix | None
) -> Bool[Array, "t S"]:
    """True where a query sees a key: the prefix, and the row's `keys` up to its own whose subtree contains it.

    S = P + s.
    """
    visible = queries[:, None] >= jnp.arange(keys.start, keys.stop)
    if ends is not None:
        visible &= queries[:, None] < ends[None, keys.start : keys.stop]
    if prefix is None:
        return visible
    is_valid = jnp.arange(prefix.size) < prefix.length
    before = jnp.broadcast_to(is_valid, (len(queries), prefix.size))
    return jnp.concatenate([before, visible], axis=1)


def _cut(keys: Shaped[Array, "S ..."], *, size: int, first: int, stop: int) -> Array:
    """The prefix of `size` keys, then the keys first…stop-1 after it."""
    if first == 0:
        return keys[: size + stop]
    return jnp.concatenate([keys[:size], keys[size + first : size + stop]])


def _softmax_parts(scores: Array, visible: Array) -> tuple[Array, Array]:
    """exp(scores - largest), 0 where not visible, and their sums over keys, by which the caller divides."""
    scores = jnp.where(visible, scores, -jnp.inf)
    weights = jnp.exp(scores - jnp.max(scores, axis=-1, keepdims=True))
    return weights, jnp.sum(weights, axis=-1, keepdims=True)
