"""Grids of kernels under a limit of bytes: more bits where they remove most of the error of a block's outputs."""

import copy
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.base.progress import progress_bar
from jaxprune.data.batches import Batch, first_samples
from jaxprune.devices.compiled import compiled
from jaxprune.hf.gguf.tensors import tensor_size
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import Grid
from jaxprune.models.model import family_of, kernel_shapes
from jaxprune.models.trees import BlockParams
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.roundings.rounding import changed_share
from jaxprune.pruning.roundings.search import with_searched_scales
from jaxprune.pruning.settings import Settings
from jaxprune.stats.blocks import blocks
from jaxprune.stats.finished import put_back
from jaxprune.stats.states import CalibrationStates, calibration_states, run_and_measure
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.walk import WHOLE_BLOCK

# Samples on which errors are measured.
SAMPLES = 16


def measured_errors(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    grids: tuple[Grid, ...],
    mesh: Mesh,
    samples_per_device: int,
    progress: bool,
) -> list[dict[str, list[float]]]:
    """The errors that each grid causes by rounding one kernel, by layer and path.

    With samples it is the squared error of the outputs of the dense model's block over their squares, on the first
    samples. It is measured with the first grid; with the others it is in proportion to the squared error of the
    kernel's own outputs. Without samples it is that of the weights times their number.

    Args:
      batches: samples; empty if there are none.
      settings: `dtype` is read.
      grids, mesh, samples_per_device, progress: see `prune_blocks`.
    """
    config, dtype = model.config_in(settings.dtype), settings.dtype
    few = first_samples(batches, max(SAMPLES, samples_per_device * jax.process_count()))
    states = calibration_states(model, few, mesh, samples_per_device, dtype) if few else None
    errors: list[dict[str, list[float]]] = []
    with progress_bar("allocate", config.n_layers, 0, progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, dtype, mesh)):
            flat, squares, inputs = flatten_dict(params, sep="/"), {}, list[Any]()
            if states is not None:
                inputs = [*states.states]
                squares = _squares(params, states, config, layer)
            kernels = {path: flat[path] for path in family_of(config).sites}
            on_device = jax.device_put((kernels, squares), mesh.devices.flat[0])
            rounded, by_path = jax.device_get(_rounded(*on_device, grids=grids))
            errors.append({})
            for path, shares in by_path.items():
                scale = float(rounded[path].size)
                if states is not None:
                    changed = put_back(params, {}, {path: rounded[path]}, dtype)
                    error = _output_error(changed, inputs, states, config, layer)
                    scale = error / float(shares[0]) if shares[0] else 0.0
                errors[layer][path] = [scale * float(share) for share in shares]
            bar.update()
    return errors


def _squares(
    params: BlockParams, states: CalibrationStates, config: ModelConfig, layer: int
) -> dict[str, Float[np.ndarray, " in"]]:
    """Runs a block; returns the sums of squares of the inputs of each kernel."""
    segment = PROPAGATIONS["dense"].steps[0].segment
    sums = run_and_measure(params, states, segment, (SQUARES,), config, layer)
    by_site = {
        site: np.asarray(sum(sums[key][site][SQUARES.name] for key in states.partition), np.float32)
        for site in segment.measures
    }
    return {path: by_site[site] for path, site in family_of(config).sites.items()}


@functools.partial(compiled, static_argnames="grids")
def _rounded(
    kernels: Mapping[str, Array], squares: Mapping[str, Array], *, grids: tuple[Grid, ...]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The kernels on the first grid, and the share of squared outputs that each grid changes, [grids], by path."""
    first, shares = {}, {}
    for path, kernel in kernels.items():
        kernel = kernel.astype(jnp.float32)
        importance = squares.get(path, jnp.ones(len(kernel)))
        rounded = [with_searched_scales(kernel, importance, grid) for grid in grids]
        first[path] = rounded[0]
        stats = {SQUARES.name: importance}
        shares[path] = jnp.stack([changed_share(kernel, new, stats) for new in rounded])
    return first, shares


def _output_error(
    params: BlockParams,
    inputs: Sequence[Any],
    states: CalibrationStates,
    config: ModelConfig,
    layer: int,
) -> float:
    """The squared error of a changed block's outputs over the squared outputs of the dense block.

    Args:
      inputs: of the block.
      states: its outputs in the dense model.
    """
    changed = copy.copy(states)
    changed.states = [*inputs]
    run_and_measure(params, changed, WHOLE_BLOCK, (), config, layer)

    def squared(parts: Sequence[Any]) -> float:
        rows = [
            np.square(
                np.where(np.asarray(context.valid)[..., None], part, 0), dtype=np.float64
            ).sum((1, 2))
            for part, context in zip(parts, states.contexts, strict=True)
        ]
        return float(states.gather(rows).sum())

    pairs = zip(changed.states, states.states, strict=True)
    return squared([np.asarray(new) - np.asarray(old) for new, old in pairs]) / squared(
        [np.asarray(old) for old in states.states]
    )


def chosen_grids(
    config: ModelConfig,
    measured: Sequence[Mapping[str, Sequence[float]]],
    grids: Sequence[Grid],
    room: int,
) -> list[dict[str, str]]:
    """The name of each kernel's grid, by layer and path.

    All begin with the first grid. The kernel whose error falls most per byte gets a larger one, again and again, until
    no larger grid fits.

    Args:
      measured: errors with each grid, by layer and path.
      grids: in the order of their bits.
      room: bytes by which a file may exceed the one with the first grid only.
    """
    bytes_of = {
        path: [tensor_size(shape, grid.name) for grid in grids]
        for path, shape in kernel_shapes(config).items()
    }
    chosen = {(layer, path): 0 for layer in range(config.n_layers) for path in bytes_of}
    while True:
        best, gain = None, 0.0
        for (layer, path), now in chosen.items():
            errors, sizes = measured[layer][path], bytes_of[path]
            for then in range(now + 1, len(grids)):
                more = sizes[then] - sizes[now]
                if more <= room and (errors[now] - errors[then]) / more > gain:
                    best, gain = ((layer, path), then), (errors[now] - errors[then]) / more
        if best is None:
            break
        (layer, path), then = best
        room -= bytes_of[path][then] - bytes_of[path][chosen[layer, path]]
        chosen[layer, path] = then
    names = [dict.fromkeys(bytes_of, grids[0].name) for _ in range(config.n_layers)]
    for (layer, path), number in chosen.items():
        names[layer][path] = grids[number].name
    return names
