"""A block over prompts, then token by token: its output, and a cache of keys and values (`models.attention`)."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from jaxprune.devices.sharding import compiled_by_rows
from jaxprune.evaluation.generation.resident import Head
from jaxprune.models.attention.attend import causal_attention
from jaxprune.models.attention.decoding import KeyValues, Stretches, attend_step
from jaxprune.models.attention.scoring import Prefix
from jaxprune.models.block import Block
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import modules
from jaxprune.models.positions import Kind, Positions
from jaxprune.models.trees import BlockParams


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
      params: the block's parameters.
      kind: kind of the block's layer.
      count: real tokens in `shared`.
      config: the model's config.
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
    """A block over one new token of each prompt (M = 1): its output, and that token's keys and values [B, M, K, H].

    Args:
      x: the block's input.
      lengths: tokens of each prompt, including the shared ones.
      stretches: the keys and values that the token sees, except its own.
      params: the block's parameters.
      kind: kind of the block's layer.
      count: real tokens in the shared stretch.
      slot: index of the step, from 0.
      config: the model's config.
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


@functools.partial(compiled_by_rows, donate_argnums=0)
def write_token(generated: KeyValues, new: KeyValues, *, slot: Int[Array, ""]) -> KeyValues:
    """Writes one token's keys and values [B, M, K, H] to their slot, in place.

    This is a separate program, as XLA on CPUs copies an array that a program both reads and writes.
    """

    def write(old: Array, y: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(old, y[..., None, :], slot, axis=3)

    return jax.tree.map(write, generated, new)


@functools.partial(compiled_by_rows, static_argnames=("config",))
def likeliest(
    x: Float[Array, "B M D"], *, head: Head, config: ModelConfig
) -> tuple[Int[Array, "B M"], Bool[Array, "B M"]]:
    """The token of the largest logit (of equal ones, the lowest id), and whether that logit is finite."""
    params, table = head
    logits = nnx.merge(modules(config).head[0], params)(x, table)
    chosen = jnp.argmax(logits, axis=-1)  # the first of NaNs
    largest = jnp.take_along_axis(logits, chosen[..., None], axis=-1)[..., 0]
    return chosen.astype(jnp.int32), jnp.isfinite(largest)


@functools.partial(compiled_by_rows, static_argnames=("config",))
def drawn(
    x: Float[Array, "B M D"], uniform: Float[Array, " B"], *, head: Head, config: ModelConfig
) -> tuple[Int[Array, "B M"], Bool[Array, "B M"]]:
    """A token drawn from the probabilities, and whether its row of logits is finite.

    Args:
      uniform: for each row a number in [0, 1), the point of the cumulated probabilities at which its token lies.
    """
    params, table = head
    logits = nnx.merge(modules(config).head[0], params)(x, table)
    cumulated = jnp.cumsum(jax.nn.softmax(logits, axis=-1), axis=-1)
    # the whole sum is 1 up to rounding
    points = uniform[:, None, None] * cumulated[..., -1:]
    chosen = jnp.argmax(cumulated > points, axis=-1)
    return chosen.astype(jnp.int32), jnp.all(jnp.isfinite(logits), axis=-1)


def _finish(block: Block, residual: Array, u: Array) -> Array:
    """The block's output, from the input `u` of "attention_out"."""
    for site in ("attention_out", "mlp_in", "mlp_out"):
        residual, u = block.leave(site, residual, u)
    return residual
