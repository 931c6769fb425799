"""Attention of new tokens to cached keys and values, for decoding.

A query sees three stretches of keys, each stored once:

    shared    [1, K, P, H]     the common prefix of all prompts, once per device
    prompt    [B, K, T, H]     the rest of each prompt, left-justified, written once
    generated [B, M, K, S, H]  the tokens of M sequences of each prompt, from slot 0 in every row

No row is padded on the left, a long prompt is neither copied nor reordered at any step, and all sequences of
a prompt read its keys in one product.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxprune.models.attention.scoring import Scoring, capped
from jaxprune.models.positions import Kind, checked_kind
from jaxprune.models.products import cast_for_matmul

# The score of a masked key.
MASKED_SCORE = -1e30


class KeyValues(NamedTuple):
    """Keys and values of one block in the dtype of its kernels, of one of the three stretches."""

    keys: Array
    values: Array


class Stretches(NamedTuple):
    """All keys and values of one block that a new token sees, except its own; shapes as above."""

    shared: KeyValues
    prompt: KeyValues
    generated: KeyValues


class _PartialAttention(NamedTuple):
    """Attention to a part of the keys: Σ w v and Σ w with w = exp(score - largest).

    Attributes:
      out: [B, M, K, G, H].
      total, largest: [B, M, K, G].
    """

    out: Array
    total: Array
    largest: Array


def attend_step(
    q: Float[Array, "B M N H"],
    new: KeyValues,
    stretches: Stretches,
    lengths: Int[Array, " B"],
    count: Int[Array, ""],
    slot: Int[Array, ""],
    scoring: Scoring,
    kind: Kind = None,
) -> Float[Array, "B M NH"]:
    """Attention of each sequence's new token to the three stretches and to itself; float32.

    `q` is already scaled. Each stretch is computed in the axis order of its product; then all are joined.
    """
    B, M, N, H = q.shape
    K = new.keys.shape[2]
    q = q.reshape(B, M, K, N // K, H)
    slope = None if scoring.slopes is None else jnp.asarray(scoring.slopes).reshape(K, N // K)
    P, T, S = (stretch.keys.shape[-2] for stretch in stretches)
    places = (jnp.arange(P), count + jnp.arange(T), lengths[:, None] + jnp.arange(S))
    visible: tuple[Array, ...] = (
        jnp.arange(P) < count,
        jnp.arange(T) < lengths[:, None] - count,
        jnp.arange(S) < slot,
    )
    if (window := _window(scoring, kind)) is not None:
        first = lengths[:, None] + slot - window + 1
        visible = tuple(y & (place >= first) for y, place in zip(visible, places, strict=True))
    # The shared stretch is equal in all rows: the queries of all rows are multiplied with it in one product.
    shared = jax.tree.map(lambda y: y[0], stretches.shared)
    arrays = (shared, stretches.prompt, stretches.generated)
    axes = (("kbmg", "ksh"), ("bkmg", "bksh"), ("bmkg", "bmksh"))
    parts = [_attend_self(q, new, slope, scoring.softcap, lengths + slot)]
    for names, kv, is_visible, place in zip(axes, arrays, visible, places, strict=True):
        if kv.keys.shape[-2]:
            parts.append(_attend_stretch(q, names, kv, is_visible, place, slope, scoring))
    largest = functools.reduce(jnp.maximum, (part.largest for part in parts))
    scales = [jnp.exp(part.largest - largest) for part in parts]
    weighted = [(p.out * s[..., None], p.total * s) for p, s in zip(parts, scales, strict=True)]
    out, total = (functools.reduce(jnp.add, column) for column in zip(*weighted, strict=True))
    return (out / total[..., None]).reshape(B, M, N * H)


def _window(scoring: Scoring, kind: Kind) -> Int[Array, ""] | int | None:
    """The number of keys that a query of this layer sees; None if no layer has a window."""
    windows = scoring.windows
    if len({*windows}) == 1:
        return windows[0]
    most = np.iinfo(np.int32).max
    by_kind = jnp.asarray([most if window is None else window for window in windows], jnp.int32)
    return by_kind[checked_kind(kind)]


def _attend_stretch(
    q: Array,
    names: tuple[str, str],
    kv: KeyValues,
    visible: Array,
    places: Array,
    slope: Array | None,
    scoring: Scoring,
) -> _PartialAttention:
    """Attention to one stretch.

    Args:
      q: [B, M, K, G, H].
      names: axes of the scores without that of the keys; axes of the keys and values.
      visible, places: [S] or [B, S], whether a key is visible, and its position.
      slope: [K, G].
      scoring: softcap, and rounding of the weights.
    """
    axes, stretch = names
    if "b" in stretch:
        # XLA on CPUs is faster with the larger of two small operands first.
        batch, other_axes = axes.partition("k")[::2]
        scores = _product(f"{stretch},bmkgh->{batch}ks{other_axes}", kv.keys, q)
        scores = jnp.moveaxis(scores, len(batch) + 1, -1)
    else:
        scores = _product(f"bmkgh,{stretch}->{axes}s", q, kv.keys)
    scores = capped(scores, scoring.softcap)

    def spread(array: Array, names: str) -> Array:
        missing = [i for i, axis in enumerate(axes + "s") if axis not in names]
        return jnp.expand_dims(array, missing)

    if slope is not None:
        position = spread(places.astype(jnp.float32), "bs"[-places.ndim :])
        scores += spread(slope, "kg") * position
    # Finite, as all keys of a stretch may be masked; its weight is then 0 when the stretches are joined.
    scores = jnp.where(spread(visible, "bs"[-visible.ndim :]), scores, MASKED_SCORE)
    largest = jnp.max(scores, axis=-1)
    weights = jnp.exp(scores - largest[..., None])
    factors = cast_for_matmul(weights, kv.values.dtype, scoring.rounded)
    out = _product(f"{axes}s,{stretch}->{axes}h", factors, kv.values)
    back = [axes.index(axis) for axis in "bmkg"]
    return _PartialAttention(
        out.transpose(*back, 4), jnp.sum(weights, axis=-1).transpose(back), largest.transpose(back)
    )


def _attend_self(
    q: Array, new: KeyValues, slope: Array | None, softcap: float | None, places: Int[Array, " B"]
) -> _PartialAttention:
    """Attention of each token to itself."""
    scores = capped(_product("bmkgh,bmkh->bmkg", q, new.keys), softcap)
    if slope is not None:
        scores += slope * places[:, None, None, None].astype(jnp.float32)
    values = jnp.broadcast_to(new.values[..., None, :].astype(jnp.float32), q.shape)
    return _PartialAttention(values, jnp.ones_like(scores), scores)


def _product(spec: str, x: Array, y: Array) -> Array:
    return jnp.einsum(spec, x, y, preferred_element_type=jnp.float32)
