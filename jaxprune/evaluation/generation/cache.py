"""A block's parameters and states → its output, and a cache of keys and values, for prompts and then token by token.

A query sees three stretches of keys, each stored once:

    shared    [1, K, P, H]     the common prefix of all prompts, once per device
    prompt    [B, K, T, H]     the rest of each prompt, left-justified, written once
    generated [B, M, K, S, H]  the tokens of each of a prompt's M beams, from slot 0 in every row

No row is padded on the left, a long prompt is neither copied nor reordered at any step, and all beams of a prompt
read its keys in one product.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.devices import compiled_by_rows
from jaxprune.models import (
    Block,
    BlockParams,
    Kind,
    ModelConfig,
    Positions,
    Prefix,
    Scoring,
    capped,
    cast_for_matmul,
    causal_attention,
    checked_kind,
    modules,
)

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


def _product(spec: str, x: Array, y: Array) -> Array:
    return jnp.einsum(spec, x, y, preferred_element_type=jnp.float32)


def _finish(block: Block, residual: Array, u: Array) -> Array:
    """The block's output, from the input `u` of "attention_out"."""
    for site in ("attention_out", "mlp_in", "mlp_out"):
        residual, u = block.leave(site, residual, u)
    return residual


@functools.partial(compiled_by_rows, static_argnames=("config", "limit"))
def prefill(
    x: Float[Array, "B T D"],
    shared: KeyValues,
    *,
    params: BlockParams,
    kind: Kind,
    count: Int[Array, ""],
    config: ModelConfig,
    limit: int,
) -> tuple[Float[Array, "B T D"], KeyValues]:
    """A block over left-justified prompts: its output, and their keys and values [B, K, T, H].

    Args:
      x: the block's input.
      shared: keys and values of the tokens before every row.
      params: of the block.
      kind: of the block's layer.
      count: real tokens in `shared`.
      config: of the model.
      limit: upper bound of all positions, exclusive.
    """
    block = nnx.merge(modules(config).block[0], params)
    residual, u = block.enter(x)
    places = jnp.broadcast_to(count + jnp.arange(x.shape[1]), x.shape[:2])
    attention = block.attention
    q, k, v = attention.heads(u, Positions(places, limit), kind)
    dtype = attention.out.dtype
    prefix = Prefix(shared.keys[0], shared.values[0], count) if shared.keys.shape[2] else None
    attended = causal_attention(q, k, v, dtype, attention.scoring, kind, prefix=prefix)
    new = KeyValues(*(attention.cast_for_matmul(y).transpose(0, 2, 1, 3) for y in (k, v)))
    return _finish(block, residual, attended), new


@functools.partial(compiled_by_rows, static_argnames=("config", "limit"))
def decode_step(
    x: Float[Array, "B M D"],
    lengths: Int[Array, " B"],
    stretches: Stretches,
    *,
    params: BlockParams,
    kind: Kind,
    count: Int[Array, ""],
    slot: Int[Array, ""],
    config: ModelConfig,
    limit: int,
) -> tuple[Float[Array, "B M D"], KeyValues]:
    """A block over one new token of each beam: its output, and that token's keys and values [B, M, K, H].

    Args:
      x: the block's input.
      lengths: tokens of each prompt, including the shared ones.
      stretches: the keys and values that the token sees, except its own.
      params: of the block.
      kind: of the block's layer.
      count: real tokens in the shared stretch.
      slot: index of the step, from 0.
      config: of the model.
      limit: upper bound of all positions, exclusive.
    """
    block = nnx.merge(modules(config).block[0], params)
    residual, u = block.enter(x)
    places = jnp.broadcast_to(lengths[:, None] + slot, x.shape[:2])
    attention = block.attention
    q, k, v = attention.heads(u, Positions(places, limit), kind)
    scoring = attention.scoring
    new = KeyValues(attention.cast_for_matmul(k), attention.cast_for_matmul(v))
    q = attention.cast_for_matmul(q * scoring.scale)
    attended = attend_step(q, new, stretches, lengths, count, slot, scoring, kind)
    return _finish(block, residual, attended), new


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
    """Attention of each beam's new token to the three stretches and to itself; float32.

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
    every = jnp.asarray([most if window is None else window for window in windows], jnp.int32)
    return every[checked_kind(kind)]


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
      scoring: for its softcap and the rounding of weights.
    """
    axes, stretch = names
    if "b" in stretch:
        # XLA on CPUs is faster with the larger of two small operands first.
        batch, rest = axes.partition("k")[::2]
        scores = _product(f"{stretch},bmkgh->{batch}ks{rest}", kv.keys, q)
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


@functools.partial(compiled_by_rows, donate_argnums=0)
def write_token(generated: KeyValues, new: KeyValues, *, slot: Int[Array, ""]) -> KeyValues:
    """Writes one token's keys and values [B, M, K, H] to their slot, in place.

    This is a separate program, as XLA on CPUs copies an array that a program both reads and writes.
    """

    def write(old: Array, y: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(old, y[..., None, :], slot, axis=3)

    return jax.tree.map(write, generated, new)


@compiled_by_rows
def reorder(generated: KeyValues, parents: Int[Array, "B M"]) -> KeyValues:
    """Keys and values by beam, each copied from the parent of the beam."""
    index = parents[:, :, None, None, None]
    return jax.tree.map(lambda y: jnp.take_along_axis(y, index, axis=1), generated)
