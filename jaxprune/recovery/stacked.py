"""Consecutive blocks of a model that are fitted together: parameters before the fit, outputs, and results after it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxprune.hf.weights import stack_layers
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import layer_kinds
from jaxprune.models.pruned_block import pruned_params
from jaxprune.models.trees import MaskTree
from jaxprune.recovery.blocks import PRODUCT, block_outputs
from jaxprune.recovery.fit import Fit
from jaxprune.recovery.on_grid import Levels, joined, separated
from jaxprune.recovery.task import Task, finished_layer
from jaxprune.stats.finished import FinishedLayer


class Start(NamedTuple):
    """Blocks before a fit; leaves are stacked, [blocks, ...].

    Attributes:
      params: parameters on the host; of kernels on a grid, their scales.
      keep: masks of the kernels whose dropped weights stay +0.
      fixed: the kinds and the levels of the blocks, see `run_blocks`.
    """

    params: Any
    keep: MaskTree
    fixed: tuple[Array | None, Levels]


def start_of(task: Task, layers: range) -> Start:
    """Some blocks of the model as they are before a recovery."""
    pruned = [task.pruned(layer) for layer in layers]
    stored: list[Any] = [
        pruned_params(task.model.block(layer), before.keep, before.changed)
        for layer, before in zip(layers, pruned, strict=True)
    ]
    keep = {path: np.stack([before.keep[path] for before in pruned]) for path in pruned[0].keep}
    levels: list[Levels] = [{} for _ in stored]
    if task.types is not None:
        for number, (layer, block) in enumerate(zip(layers, stored, strict=True)):
            grids = task.types.kernel_grids(task.config, layer)
            stored[number], levels[number] = separated(block, grids)
        keep = {}
    kinds = layer_kinds(task.config)
    own_kinds = None if kinds is None else kinds[layers.start : layers.stop]
    all_levels = jax.tree.map(lambda *leaves: np.stack(leaves), *levels)
    return Start(stack_layers(stored), unflatten_dict(keep, sep="/"), (own_kinds, all_levels))


def run_blocks(
    config: ModelConfig,
    dtype: str,
    masters: Any,
    fixed: tuple[Array | None, Levels],
    inputs: Float[Array, "b T D"],
    runs: Bool[Array, " blocks"] | None = None,
) -> Float[Array, "b T D"]:
    """The outputs of the last of some stacked blocks; for gradients, only their products are stored.

    Args:
      runs: False at blocks that are passed over; None if all run.
    """

    def body(x: Array, layer: tuple[Any, Array | None, Levels, Array | None]) -> tuple[Array, None]:
        block, kind, levels, run = layer

        def outputs(x: Array) -> Array:
            return block_outputs(config, dtype, joined(block, levels), x, kind)

        return (outputs(x) if run is None else lax.cond(run, outputs, lambda x: x, x)), None

    policy = jax.checkpoint_policies.save_only_these_names(PRODUCT)
    states, _ = lax.scan(jax.checkpoint(body, policy=policy), inputs, (masters, *fixed, runs))
    return states


def finished_layers(
    task: Task, layers: range, start: Start, fitted: Fit
) -> Iterator[FinishedLayer]:
    """The results of some fitted blocks; the first one has the loss of all.

    Args:
      layers: the first of the blocks, or all.
    """
    for number, layer in enumerate(layers):
        masters, levels = jax.tree.map(
            lambda leaf, number=number: leaf[number], (fitted.params, start.fixed[1])
        )
        masters = jax.tree.map(np.array, joined(masters, levels))  # not views of all blocks
        yield finished_layer(
            task.pruned(layer), task.model.block(layer), masters, None if number else fitted
        )
