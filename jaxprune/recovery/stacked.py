"""Consecutive blocks of a model that are fitted together: parameters before the fit, outputs, and results after it."""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxprune.hf.weights import stack_layers
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids.grid import Quantized, Weight, values_of
from jaxprune.models.model import layer_kinds
from jaxprune.models.pruned_block import pruned_params
from jaxprune.models.trees import MaskTree
from jaxprune.recovery.blocks import PRODUCT, block_outputs
from jaxprune.recovery.fit import Fit
from jaxprune.recovery.task import Task, finished_layer
from jaxprune.stats.finished import FinishedLayer

# Kernels on a grid by path, of one block or stacked.
Records = dict[str, Quantized]


class Start(NamedTuple):
    """Blocks before a fit; leaves are stacked, [blocks, ...].

    Attributes:
      params: parameters on the host; of kernels on a grid, their scales.
      keep: masks of the kernels whose dropped weights stay +0.
      fixed: the kinds of the blocks, and their kernels on a grid by path, whose levels stay; see `run_blocks`.
    """

    params: Any
    keep: MaskTree
    fixed: tuple[Array | None, Records]


def start_of(task: Task, layers: range) -> Start:
    """Some blocks of the model as they are before a recovery."""
    pruned = [task.pruned(layer) for layer in layers]
    stored: list[Any] = [
        pruned_params(task.model.block(layer), before.keep, before.changed)
        for layer, before in zip(layers, pruned, strict=True)
    ]
    records = [
        {path: weight for path, weight in before.changed.items() if isinstance(weight, Quantized)}
        for before in pruned
    ]
    for number, own in enumerate(records):
        flat = flatten_dict(stored[number], sep="/")
        flat |= {path: weight.scales for path, weight in own.items()}
        stored[number] = unflatten_dict(flat, sep="/")
    keep = {
        path: np.stack([before.keep[path] for before in pruned])
        for path in pruned[0].keep
        if path not in records[0]  # whose dropped weights have the level 0
    }
    kinds = layer_kinds(task.config)
    own_kinds = None if kinds is None else kinds[layers.start : layers.stop]
    all_records = jax.tree.map(lambda *leaves: np.stack(leaves), *records)
    return Start(stack_layers(stored), unflatten_dict(keep, sep="/"), (own_kinds, all_records))


def on_grid(block: Any, records: Records) -> dict[str, Weight]:
    """The parameters of a block by path, with kernels on their grid in place of their scales; traceable."""
    flat = flatten_dict(dict(block), sep="/", is_leaf=lambda path, _: "/".join(path) in records)
    for path, weight in records.items():
        flat[path] = dataclasses.replace(weight, scales=weight.grid.project(flat[path]))
    return flat


def run_blocks(
    config: ModelConfig,
    dtype: str,
    masters: Any,
    fixed: tuple[Array | None, Records],
    inputs: Float[Array, "b T D"],
    runs: Bool[Array, " blocks"] | None = None,
) -> Float[Array, "b T D"]:
    """The outputs of the last of some stacked blocks; for gradients, only their products are stored.

    Args:
      runs: False at blocks that are passed over; None if all run.
    """

    def body(
        x: Array, layer: tuple[Any, Array | None, Records, Array | None]
    ) -> tuple[Array, None]:
        block, kind, records, run = layer

        def outputs(x: Array) -> Array:
            flat = {path: values_of(weight) for path, weight in on_grid(block, records).items()}
            return block_outputs(config, dtype, unflatten_dict(flat, sep="/"), x, kind)

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
        masters, records = jax.tree.map(
            lambda leaf, number=number: leaf[number], (fitted.params, start.fixed[1])
        )
        masters = jax.tree.map(np.array, on_grid(masters, records))  # not views of all blocks
        yield finished_layer(
            task.pruned(layer), task.model.block(layer), masters, None if number else fitted
        )
