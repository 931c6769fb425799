"""Recovery block by block: dense outputs → fitted block → the next block's input.

The loss is the squared error over real tokens, relative to the variance of the dense outputs.
"""

import copy
from collections.abc import Generator, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict
from jaxtyping import Array, Bool, Float

from jaxprune.base.progress import Clock, progress_bar
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import layer_kind
from jaxprune.models.positions import Kind
from jaxprune.models.pruned_block import pruned_params
from jaxprune.models.trees import BlockParams
from jaxprune.recovery.blocks import block_outputs
from jaxprune.recovery.fit import cut, fit
from jaxprune.recovery.steps import Loss
from jaxprune.recovery.task import Task, finished_layer
from jaxprune.stats.blocks import blocks
from jaxprune.stats.finished import PrunedBlock, put_back
from jaxprune.stats.micro_batches import MicroBatches
from jaxprune.stats.states import run_and_measure
from jaxprune.stats.walk import WHOLE_BLOCK


def recover_by_block(task: Task) -> Generator[PrunedBlock, None, None]:
    """Recovers and yields the blocks of a pruned model in order.

    A block is fitted to the outputs of the dense block within the dense model; its inputs come from the recovered
    blocks below, so it also corrects their errors.
    """
    model, config, mesh, dtype = task.model, task.config, task.mesh, task.dtype
    dense = task.samples()
    recovered = copy.copy(dense)  # from the same inputs of the first block
    recovered.states = [*dense.states]
    with progress_bar("recover", config.n_layers, 0, task.progress) as bar:
        clock = Clock()
        for layer, (host, params) in enumerate(blocks(model, dtype, mesh)):
            finished = task.finished(layer)
            clock.lap("read")
            run_and_measure(params, dense, WHOLE_BLOCK, (), config, layer)
            clock.lap("forward")
            if finished is None:
                start = task.pruned(layer)
                before = pruned_params(host, start.keep, start.changed)
                units = units_of(recovered, dense)
                loss = Loss(
                    squared_error, layer_kind(config, layer), config, dtype, 1 / variance(units),
                    f"layer {layer}: ",
                )  # fmt: skip
                keep = unflatten_dict(start.keep, sep="/")
                fitted = fit(before, keep, units, loss, task.fields, task.seed, mesh, bar.show)
                finished = finished_layer(start, host, fitted.params, fitted)
                clock.lap("recover")
            if layer + 1 < config.n_layers:
                params = put_back(params, finished.keep, finished.changed, dtype)
                run_and_measure(params, recovered, WHOLE_BLOCK, (), config, layer)
                clock.lap("forward")
            yield PrunedBlock(
                layer, pruned_params(host, finished.keep, finished.changed), finished, clock.take()
            )
            bar.update()


class Unit(NamedTuple):
    """The rows of one device: inputs of a block, outputs of the dense block, and a mask of the real tokens."""

    inputs: Float[np.ndarray, "b T D"]
    targets: Float[np.ndarray, "b T D"]
    valid: Bool[np.ndarray, "b T"]


def units_of(inputs: MicroBatches, targets: MicroBatches) -> list[Unit]:
    """The rows in units."""
    units = list[Unit]()
    for x, target, context in zip(inputs.states, targets.states, inputs.contexts, strict=True):
        rows = Unit(*map(np.asarray, (x, target, context.valid)))
        units += cut(rows, inputs.step // inputs.mesh.size)
    return units


def variance(units: Sequence[Unit]) -> float:
    """The variance of the dense outputs over real tokens, summed over features."""
    real = [unit.targets[unit.valid] for unit in units]
    count = sum(map(len, real))
    mean = sum(part.sum(axis=0, dtype=np.float64) for part in real) / count
    return sum(float(np.square(part - mean).sum()) for part in real) / count


def squared_error(
    config: ModelConfig,
    dtype: str,
    masters: BlockParams,
    kind: Kind,
    inputs: Array,
    targets: Array,
    valid: Array,
) -> Float[Array, ""]:
    """The sum over real tokens, with the block in the dtype of the products."""
    outputs = block_outputs(config, dtype, masters, inputs, kind)
    return jnp.sum(jnp.where(valid[..., None], jnp.square(outputs - targets), 0))
