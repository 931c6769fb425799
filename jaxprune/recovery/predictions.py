"""The dense model's predictions as the target of blocks, through the blocks above them, which are not fitted.

The loss is the mean divergence of predictions over real tokens, see `stats.predictions`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jaxprune.devices.sharding import replicated
from jaxprune.models.config import ModelConfig
from jaxprune.recovery.fit import cut
from jaxprune.recovery.stacked import Records, Start, run_blocks, start_of
from jaxprune.recovery.task import Task
from jaxprune.stats.micro_batches import Context, MicroBatches
from jaxprune.stats.predictions import (
    Head,
    divergence,
    head_of,
    log_sum_and_mean,
    logit_inputs,
    predict,
)

# Tokens that a device predicts at a time.
TOKENS = 1024


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


class Predictions(NamedTuple):
    """The predictions of the dense model, and how the outputs of a window become those of the other model.

    Attributes:
      head: the head, on the devices.
      rows: of each micro-batch `expected`, `log_p` and `valid`, see `PredictionUnit`.
      blocks: all blocks as they are before the recovery, on the devices; None if one window has all of them.
    """

    head: Head
    rows: list[tuple[Any, Any, Any]]
    blocks: Start | None


def dense_predictions(
    task: Task, outputs: MicroBatches, show: Callable[[str], None]
) -> Predictions:
    """The predictions of the dense model.

    Args:
      outputs: of its last block.
      show: receives a line on the progress.
    """
    head = head_of(task.model, task.batches, task.dtype, task.mesh)
    valid = [np.asarray(context.valid) for context in outputs.contexts]
    real = [np.asarray(x)[mask] for x, mask in zip(outputs.states, valid, strict=True)]
    mean_rows, log_p = _predictions(np.concatenate(real), head, task, show)
    rows, start = [], 0
    for mask in valid:
        own = slice(start, start := start + int(mask.sum()))
        expected = np.zeros((*mask.shape, task.config.d_model), np.float32)
        entropy = np.zeros(mask.shape, np.float32)
        expected[mask], entropy[mask] = mean_rows[own], log_p[own]
        rows.append((expected, entropy, mask))
    blocks = None
    if len(task.windows) > 1:
        stored = start_of(task, range(task.config.n_layers))._replace(keep={})
        blocks = jax.device_put(stored, replicated(task.mesh))
    return Predictions(head, rows, blocks)


def prediction_units(
    task: Task, inputs: MicroBatches, predictions: Predictions
) -> list[PredictionUnit]:
    """The rows in units; `inputs` are those of the first block of a window."""
    return [
        unit
        for x, rows in zip(inputs.states, predictions.rows, strict=True)
        for unit in cut(PredictionUnit(np.asarray(x), *rows), task.samples_per_device)
    ]


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


def divergence_of_unit(
    config: ModelConfig,
    dtype: str,
    masters: Any,
    fixed: tuple[tuple[Array | None, Records], Head, tuple[Start, Array] | None],
    inputs: Array,
    expected: Array,
    log_p: Array,
    valid: Array,
) -> Float[Array, ""]:
    """Σ KL(p‖q) over real tokens, in nats.

    Args:
      masters: of the blocks that are fitted.
      fixed: their kinds and records; the head; and if there are blocks above, all blocks as stored, with True at those
        above, so that windows share one program.
    """
    of_blocks, head, above = fixed
    states = run_blocks(config, dtype, masters, of_blocks, inputs)
    if above is not None:
        blocks, are_above = above
        states = run_blocks(config, dtype, blocks.params, blocks.fixed, states, are_above)
    h = logit_inputs(config, head, states)
    values = divergence(h, expected, log_p, log_sum_exp(h, head[1]))
    return jnp.sum(jnp.where(valid, values, 0))


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
