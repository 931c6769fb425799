"""The dense model's predictions of the next token, what of them is kept, and how far another model's are from them.

The distance of a token is KL(p‖q), where p and q are the distributions of the next token in the dense and in the other
model. With logits h·w_v it equals E_p[log p] - h·E_p[w] + log Σ_v exp(h·w_v). So the dense model leaves only the vector
E_p[w] and the number E_p[log p] of each token, and its passes run once, however many models are compared with it. Both
models are computed with slices of the vocabulary; [B, T, V] is never stored. A cap of logits (Gemma 2) is not applied.

With a large vocabulary both distributions are over the tokens of the samples and a few others alone. The rows of
thousands of tokens determine h, which has D numbers, as all rows do, at a fraction of the products.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from jaxprune.data.batches import Batch
from jaxprune.devices.sharding import compiled_by_rows, replicated
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import head_inputs
from jaxprune.models.trees import HeadParams
from jaxprune.stats.blocks import converted, to_device

# Rows of the head's table in a product.
SLICE = 8192
# Least number of tokens of the vocabulary that are predicted.
LEAST = 2 * SLICE

# The final norm, and the rows of the head's table of the predicted tokens, [n, D], on the devices.
Head = tuple[HeadParams, Array]


def head_of(model: Model, batches: Sequence[Batch], dtype: str, mesh: Mesh) -> Head:
    """The head of a model for the tokens that are predicted on these samples."""
    table = model.source.head_rows(predicted_tokens(batches, model.config.vocab_size))
    table = jax.device_put(converted(table, dtype), replicated(mesh))
    return to_device({"norm": model.part("head/norm")}, dtype, mesh), table


def predicted_tokens(batches: Sequence[Batch], vocab_size: int) -> Int[np.ndarray, " n"]:
    """The tokens of the samples, filled up to `LEAST` with others at equal distances, ascending."""
    if vocab_size <= LEAST:
        return np.arange(vocab_size)
    used = np.unique(np.concatenate([batch.tokens[batch.valid] for batch in batches]))
    others = np.setdiff1d(np.arange(vocab_size), used)
    places = np.linspace(0, len(others) - 1, max(0, LEAST - len(used))).astype(int)
    return np.union1d(used, others[places])


@functools.partial(compiled_by_rows, static_argnames=("config",))
def predict(
    states: Float[Array, "*rows D"],
    *,
    head: Head,
    config: ModelConfig,
) -> tuple[Float[Array, "*rows D"], Float[Array, "*rows"]]:
    """(E_p[w], E_p[log p]) of the next token after each token, from the last block's outputs."""
    h = logit_inputs(config, head, states)
    log_sum, expected = log_sum_and_mean(h, head[1])
    return expected, jnp.sum(h.astype(jnp.float32) * expected, axis=-1) - log_sum


@functools.partial(compiled_by_rows, static_argnames=("config",))
def divergences(
    states: Float[Array, "B T D"],
    expected: Float[Array, "B T D"],
    log_p: Float[Array, "B T"],
    *,
    head: Head,
    config: ModelConfig,
) -> Float[Array, "B T"]:
    """KL(p‖q) of each token in nats, float32.

    Args:
      states: outputs of the last block of the other model.
      expected, log_p: the result of `predict` for the dense model.
    """
    h = logit_inputs(config, head, states)
    return divergence(h, expected, log_p, log_sum_and_mean(h, head[1])[0])


def divergence(
    h: Float[Array, "*rows D"],
    expected: Float[Array, "*rows D"],
    log_p: Float[Array, "*rows"],
    log_sum: Float[Array, "*rows"],
) -> Float[Array, "*rows"]:
    """KL(p‖q) from the inputs of the other model's logits and log Σ_v exp(h·w_v)."""
    return log_p - jnp.sum(h.astype(jnp.float32) * expected, axis=-1) + log_sum


def logit_inputs(
    config: ModelConfig, head: Head, states: Float[Array, "*rows D"]
) -> Float[Array, "*rows D"]:
    """The inputs of the head's products, which are logits then."""
    norm, table = head
    return head_inputs(config, norm, states, table.dtype) * config.logit_scale


def log_sum_and_mean(
    h: Float[Array, "*rows D"], table: Float[Array, "V D"]
) -> tuple[Float[Array, "*rows"], Float[Array, "*rows D"]]:
    """(log Σ_v exp(h·w_v), Σ_v softmax(h·w)_v w_v), float32, one slice of the table at a time."""
    count, size = len(table), min(SLICE, len(table))

    def add(number: Array, sums: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        largest, total, mean = sums
        start = jnp.minimum(number * size, count - size)  # the last slice overlaps the one before
        rows = lax.dynamic_slice_in_dim(table, start, size)
        logits = jnp.einsum("...d,vd->...v", h, rows, preferred_element_type=jnp.float32)
        logits = jnp.where(start + jnp.arange(size) < number * size, -jnp.inf, logits)
        above = jnp.maximum(largest, logits.max(axis=-1))
        weights, shrink = jnp.exp(logits - above[..., None]), jnp.exp(largest - above)
        part = jnp.einsum(
            "...v,vd->...d", weights.astype(rows.dtype), rows, preferred_element_type=jnp.float32
        )
        return above, shrink * total + weights.sum(axis=-1), shrink[..., None] * mean + part

    shape = h.shape[:-1]
    zero = jnp.full(shape, -jnp.inf), jnp.zeros(shape), jnp.zeros(h.shape)
    largest, total, mean = lax.fori_loop(0, -(-count // size), add, zero)
    return largest + jnp.log(total), mean / total[..., None]
