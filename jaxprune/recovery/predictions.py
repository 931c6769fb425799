"""The dense model's predictions as the target of the last blocks: what of them is kept, and the loss.

The loss is the mean of KL(p‖q) over real tokens, where p and q are the distributions of the next token in the dense and
in the other model. With logits h·w_v it equals E_p[log p] - h·E_p[w] + log Σ_v exp(h·w_v). So the dense model leaves
only the vector E_p[w] and the number E_p[log p] of each token, and its passes run once, however many epochs follow.
Both models are computed with slices of the vocabulary; [B, T, V] is never stored.

With a large vocabulary both distributions are over the tokens of the samples and a few others alone. The rows of
thousands of tokens determine h, which has D numbers, as all rows do, at a fraction of the products.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from jaxprune.data.batches import Batch
from jaxprune.devices.sharding import compiled_by_rows, replicated
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import head_inputs
from jaxprune.models.trees import HeadParams
from jaxprune.recovery.fit import cut
from jaxprune.recovery.on_grid import Levels
from jaxprune.recovery.stacked import run_blocks
from jaxprune.recovery.task import Task
from jaxprune.stats.blocks import converted, to_device
from jaxprune.stats.micro_batches import Context, MicroBatches

# Rows of the head's table in a product.
SLICE = 8192
# Least number of tokens of the vocabulary that are predicted.
LEAST = 2 * SLICE
# Tokens that a device predicts at a time.
TOKENS = 1024

# The final norm, and the rows of the head's table of the predicted tokens, [n, D], on the devices.
Head = tuple[HeadParams, Array]


class PredictionUnit(NamedTuple):
    """The rows of one device.

    Attributes:
      inputs: inputs of the first block of a window.
      expected: E_p[w], the mean row of the head's table under the dense model's prediction of the next token.
      log_p: E_p[log p], its negative entropy in nats.
      valid: True at real tokens.
    """

    inputs: Float[np.ndarray, "b T D"]
    expected: Float[np.ndarray, "b T D"]
    log_p: Float[np.ndarray, "b T"]
    valid: Bool[np.ndarray, "b T"]


def head_of(task: Task) -> Head:
    """The head of the model, whose embedding, final norm and head no recovery changes."""
    table = task.model.source.head_rows(predicted_tokens(task.batches, task.config.vocab_size))
    table = jax.device_put(converted(table, task.dtype), replicated(task.mesh))
    return to_device({"norm": task.model.part("head/norm")}, task.dtype, task.mesh), table


def predicted_tokens(batches: Sequence[Batch], vocab_size: int) -> Int[np.ndarray, " n"]:
    """The tokens of the samples, filled up to `LEAST` with others at equal distances, ascending."""
    if vocab_size <= LEAST:
        return np.arange(vocab_size)
    used = np.unique(np.concatenate([batch.tokens[batch.valid] for batch in batches]))
    others = np.setdiff1d(np.arange(vocab_size), used)
    places = np.linspace(0, len(others) - 1, max(0, LEAST - len(used))).astype(int)
    return np.union1d(used, others[places])


def prediction_units(
    task: Task, inputs: MicroBatches, outputs: MicroBatches, head: Head, show: Callable[[str], None]
) -> list[PredictionUnit]:
    """The rows in units, with the predictions of the dense model.

    Args:
      inputs: of the first block of a window.
      outputs: of the dense model's last block.
      show: receives a line on the progress.
    """
    valid = [np.asarray(context.valid) for context in outputs.contexts]
    real = [np.asarray(x)[mask] for x, mask in zip(outputs.states, valid, strict=True)]
    mean_rows, log_p = _predictions(np.concatenate(real), head, task, show)
    units, start = list[PredictionUnit](), 0
    for x, mask in zip(inputs.states, valid, strict=True):
        own = slice(start, start := start + int(mask.sum()))
        expected = np.zeros((*mask.shape, task.config.d_model), np.float32)
        entropy = np.zeros(mask.shape, np.float32)
        expected[mask], entropy[mask] = mean_rows[own], log_p[own]
        rows = PredictionUnit(np.asarray(x), expected, entropy, mask)
        units += cut(rows, task.samples_per_device)
    return units


def _predictions(
    states: Float[np.ndarray, "N D"], head: Head, task: Task, show: Callable[[str], None]
) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, " N"]]:
    """`predict` of all real tokens. A row is a token, so pads cost nothing."""
    tokens = MicroBatches(task.mesh, TOKENS)
    tokens.add(states, Context(np.ones((len(states), 1), bool)))
    predictions = list[Any]()

    def step(state: Array, _: Context) -> tuple[None, Any]:
        show(f"dense predictions: {len(predictions)} of {len(tokens.states)}")
        return None, predict(state, head=head, config=task.config, mesh=task.mesh)

    tokens.run(step, predictions.append)
    mean_rows, log_p = map(np.concatenate, zip(*predictions, strict=True))
    return mean_rows[: len(states)], log_p[: len(states)]


@functools.partial(compiled_by_rows, static_argnames=("config",))
def predict(
    states: Float[Array, "N D"],
    *,
    head: Head,
    config: ModelConfig,
) -> tuple[Float[Array, "N D"], Float[Array, " N"]]:
    """(E_p[w], E_p[log p]) of the next token after each of N tokens, from the last block's outputs."""
    h = _inputs(config, head, states)
    log_sum, expected = log_sum_and_mean(h, head[1])
    return expected, jnp.sum(h.astype(jnp.float32) * expected, axis=-1) - log_sum


def divergence(
    config: ModelConfig,
    dtype: str,
    masters: Any,
    fixed: tuple[tuple[Array | None, Levels], Head],
    inputs: Array,
    expected: Array,
    log_p: Array,
    valid: Array,
) -> Float[Array, ""]:
    """Σ KL(p‖q) over real tokens, in nats."""
    of_blocks, head = fixed
    states = run_blocks(config, dtype, masters, of_blocks, inputs)
    h = _inputs(config, head, states)
    similarity = jnp.sum(h.astype(jnp.float32) * expected, axis=-1)
    values = log_p - similarity + log_sum_exp(h, head[1])
    return jnp.sum(jnp.where(valid, values, 0))


def _inputs(
    config: ModelConfig, head: Head, states: Float[Array, "*rows D"]
) -> Float[Array, "*rows D"]:
    """The inputs of the head's products, which are logits then."""
    norm, table = head
    return head_inputs(config, norm, states, table.dtype) * config.logit_scale


@jax.custom_vjp
def log_sum_exp(h: Float[Array, "*rows D"], table: Float[Array, "V D"]) -> Float[Array, "*rows"]:
    """The logarithm of Σ_v exp(h·w_v).

    Its gradient E_q[w] is computed along with it, so no logit is stored or computed twice.
    """
    return log_sum_and_mean(h, table)[0]


def _forward(h: Array, table: Array) -> tuple[Array, tuple[Array, Array]]:
    value, mean = log_sum_and_mean(h, table)
    return value, (mean.astype(h.dtype), table)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    mean, table = saved
    return (g[..., None] * mean).astype(mean.dtype), jnp.zeros_like(table)


log_sum_exp.defvjp(_forward, _backward)


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
