"""Exact selection of the weights to keep, along axis -2 of an array of scores.

A score row of the paper is an output column of a kernel `[..., in, out]`, so every function here
ranks along axis -2 and treats the other axes as independent rows.

Order of scores, the same everywhere: -inf < finite < +inf < NaN (as numpy sorts), every NaN equals
every other, and -0 equals +0. Among equal scores the one with the lower index is dropped first.

Sorting in XLA on CPUs takes about 25 times as long, and the order within the dropped part is never
needed, only its end. A bisection over the integer representation of the floats finds it in about 20
passes of compare and count over data that stays in cache.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

_SIGN = np.int32(-(2**31))  # the bits of -0.0
_INFINITY = np.int32(0x7F800000)  # the bits of +inf

# Columns that a CPU ranks at a time: in a 7B model they fit a core's cache in all passes, which
# makes large kernels twice as fast.
STRIPE = 64

# Wanda's search for alpha starts at 0.4 in [0, 0.8] and ends when the sparsity is within 0.001 or the
# bracket is narrower than 0.001, which the tenth halving reaches. So alpha is on a grid of 2048.
_ALPHA_GRID = (0.8 * np.arange(2048) / 2048).astype(np.float32)
_SPARSITY_TOLERANCE = 0.001


def order_key(scores: Float[Array, "*rows in out"]) -> Int[Array, "*rows in out"]:
    """int32 keys in the order of the scores in float32 (see the module docstring).

    Comparisons of floats would leave NaN unordered and might flush denormals to zero.
    """
    bits = lax.bitcast_convert_type(scores.astype(jnp.float32), jnp.int32)
    magnitude = bits & ~_SIGN
    # Negative floats decrease as their magnitude bits increase: flipping the bits restores the order.
    key = jnp.where(bits < 0, ~magnitude, magnitude)
    key = jnp.where(magnitude == 0, 0, key)
    return jnp.where(magnitude > _INFINITY, _INFINITY + 1, key)


def keep_rows(
    scores: Float[Array, "*rows in out"],
    count: int | np.integer | Int[Array, ""],
    drop: str = "lowest",
) -> Bool[Array, "*rows in out"]:
    """Keep all but exactly `count` weights of every row (axis -2).

    Args:
        scores: any float dtype, compared in float32.
        count: number to drop in each row, 0 <= count < in; may be traced.
        drop: `lowest` or `highest`. Among equal scores the lower index is dropped first.
    """
    *rows, size, out = scores.shape
    if jax.default_backend() != "cpu" or out % STRIPE:
        return _keep_rows(scores, count, drop)
    stripes = scores.reshape(-1, size, out // STRIPE, STRIPE).swapaxes(1, 2)
    keep = lax.map(
        lambda stripe: _keep_rows(stripe, count, drop), stripes.reshape(-1, size, STRIPE)
    )
    return keep.reshape(*rows, out // STRIPE, size, STRIPE).swapaxes(-3, -2).reshape(scores.shape)


def _keep_rows(scores: Array, count: int | np.integer | Array, drop: str) -> Array:
    size = scores.shape[-2]
    key = order_key(scores)
    if drop == "highest":
        key = ~key

    def below(threshold: Array) -> Array:
        return _count(key < threshold)

    low = jnp.min(key, axis=-2, keepdims=True)
    high = jnp.max(key, axis=-2, keepdims=True) + 1
    threshold, dropped = _bisect(below, low, high, jnp.zeros_like(low), count)

    # A threshold inside a run of equal scores drops too few. The same search over the index finds
    # the end of the dropped part of the run; without such ties it makes no pass.
    index = lax.broadcasted_iota(jnp.int32, key.shape, key.ndim - 2)

    def before(end: Array) -> Array:
        return _count((key < threshold) | ((key == threshold) & (index < end)))

    start = jnp.zeros_like(threshold)
    end, _ = _bisect(before, start, jnp.full_like(start, size), dropped, count)
    return (key > threshold) | ((key == threshold) & (index >= end))


def _count(mask: Array) -> Array:
    return jnp.sum(mask, axis=-2, keepdims=True, dtype=jnp.int32)


def _bisect(
    count_at: Callable[[Array], Array],
    low: Array,
    high: Array,
    dropped: Array,
    count: int | np.integer | Array,
) -> tuple[Array, Array]:
    """For every row the largest known t in [low, high) with count_at(t) <= count, and that count.

    `count_at` increases with t, and dropped = count_at(low) <= count. The search ends when every row
    has exactly `count` or a bracket of width 1. Finished rows continue with the others: from an
    exact t they reach only other exact ones, so the result does not depend on other rows.
    """

    def width(low: Array, high: Array) -> Array:
        return (high - low).astype(jnp.uint32)  # the difference of two int32 needs all 32 bits

    def searching(state: tuple[Array, Array, Array]) -> Array:
        low, high, dropped = state
        return jnp.any((dropped != count) & (width(low, high) > 1))

    def halve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        low, high, dropped = state
        middle = low + (width(low, high) >> 1).astype(jnp.int32)
        at_middle = count_at(middle)
        up = at_middle <= count
        return (
            jnp.where(up, middle, low),
            jnp.where(up, high, middle),
            jnp.where(up, at_middle, dropped),
        )

    low, _, dropped = lax.while_loop(searching, halve, (low, high, dropped))
    return low, dropped


def keep_groups(
    scores: Float[Array, "*rows in out"], n: int, m: int, drop: str = "lowest"
) -> Bool[Array, "*rows in out"]:
    """Keep n of every m consecutive weights along axis -2, whose size m must divide.

    Args:
        scores: any float dtype, compared in float32.
        n: number to keep in each group, 0 < n < m; static.
        m: size of a group; static.
        drop: `lowest` or `highest`. Among equal scores the lower index is dropped first.
    """
    *rows, size, out = scores.shape
    key = order_key(scores).reshape(*rows, size // m, m, out)
    if drop == "highest":
        key = ~key
    # In small groups, comparing all pairs is the fastest way to rank.
    index = np.arange(m)
    key_i, key_j = key[..., :, None, :], key[..., None, :, :]
    earlier = jnp.asarray(index[:, None] < index)[..., None]
    goes_first = (key_i < key_j) | ((key_i == key_j) & earlier)
    rank = jnp.sum(goes_first, axis=-3, dtype=jnp.int32)
    return (rank >= m - n).reshape(scores.shape)


def keep_variant(
    scores: Float[Array, "*rows in out"],
    sparsity: float | np.floating | Float[Array, ""],
    drop: str = "lowest",
) -> Bool[Array, "*rows in out"]:
    """Wanda's variant: drop from every row the lowest scores, up to a share of its sum.

    A weight is dropped if its score and all lower ones add up to at most alpha times the sum of its
    row (Sun et al. 2024, the `use_variant` option of their code). Weights equal to a dropped one are
    dropped too. All rows of a matrix have one alpha, found by bisection from 0.4 in [0, 0.8] until
    the share of dropped weights is within 0.001 of `sparsity` or the bracket is narrower than 0.001.
    With very uneven scores the result may differ from `sparsity`.

    Args:
        scores: non-negative, any float dtype, compared in float32. Non-finite scores are kept and
            excluded from the sum. All of a row of zeros is dropped.
        sparsity: share of weights to drop in each matrix, 0 < sparsity < 1; may be traced.
        drop: `lowest`, or `highest` for the same from the other end, which is not in Wanda.
    """
    if scores.ndim > 2:
        return jax.vmap(lambda matrix: keep_variant(matrix, sparsity, drop))(scores)
    scores = scores.astype(jnp.float32)
    finite = jnp.isfinite(scores)
    total = jnp.sum(scores, axis=-2, keepdims=True, where=finite)
    # Integers sort much faster than floats. ~ reverses the order, and a second ~ restores the bits of
    # the score, which are not negative. +inf comes last and exceeds every sum.
    key = order_key(scores)
    key = jnp.where(finite, ~key if drop == "highest" else key, _INFINITY)
    ordered = jnp.sort(key, axis=-2)
    bits = jnp.where(ordered < 0, ~ordered, ordered)
    running = jnp.cumsum(lax.bitcast_convert_type(bits, jnp.float32), axis=-2)

    def keep_at(step: Array) -> Array:
        fits = _count(running <= total * jnp.asarray(_ALPHA_GRID)[step])
        last = jnp.take_along_axis(ordered, jnp.maximum(fits - 1, 0), axis=-2)
        return (key > last) | (fits == 0)

    def searching(state: tuple[Array, Array, Array]) -> Array:
        _, stride, reached = state
        return (jnp.abs(reached - sparsity) > _SPARSITY_TOLERANCE) & (stride > 0)

    def move(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, stride, reached = state
        step = jnp.where(reached > sparsity, step - stride, step + stride)
        return step, stride >> 1, _dropped_share(keep_at(step))

    first = jnp.int32(len(_ALPHA_GRID) // 2)
    step, _, _ = lax.while_loop(
        searching, move, (first, first >> 1, _dropped_share(keep_at(first)))
    )
    return keep_at(step)


def _dropped_share(keep: Array) -> Array:
    return jnp.sum(~keep, dtype=jnp.int32) / jnp.float32(keep.size)
