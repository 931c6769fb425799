"""Grids of kernels under a limit of bytes: more bits where they keep most of the dense model's predictions."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.data.batches import Batch
from jaxprune.devices.compiled import compiled
from jaxprune.hf.gguf.tensors import tensor_size
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import Grid
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.roundings.rounding import changed_share
from jaxprune.pruning.roundings.search import with_searched_scales
from jaxprune.pruning.sensitivity import changed_kernels, sensitivities
from jaxprune.pruning.settings import Settings
from jaxprune.stats.blocks import blocks
from jaxprune.stats.statistics import SQUARES


def measured_errors(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    grids: tuple[Grid, ...],
    mesh: Mesh,
    progress: bool,
) -> list[dict[str, list[float]]]:
    """The errors that each grid causes by rounding one kernel, by layer and path.

    With samples it is the divergence of the dense model's predictions, see `sensitivities`. It is measured with the
    first grid; with the others it is in proportion to the squared error of the kernel's own outputs. Without samples it
    is the squared error of the weights.

    Args:
      batches: samples; empty if there are none.
      settings: `dtype` is read.
      mesh, progress: see `prune_blocks`.
    """
    shares: list[Mapping[str, Any]] = []

    def change(kernels: Mapping[str, Any], squares: Mapping[str, Any]) -> Mapping[str, Any]:
        rounded, by_path = _rounded(kernels, squares, grids=grids)
        shares.append(jax.device_get(by_path))
        return rounded

    if batches:
        losses = sensitivities(model, batches, change, settings.dtype, mesh, progress)
    else:
        alike = {
            path: np.ones(shape[0], np.float32)
            for path, shape in kernel_shapes(model.config).items()
        }
        kernels = [
            changed_kernels(params, alike, change, mesh)
            for _, params in blocks(model, settings.dtype, mesh)
        ]
        losses = [
            {path: kernel.size * float(by_path[path][0]) for path, kernel in by_layer.items()}
            for by_layer, by_path in zip(kernels, shares, strict=True)
        ]
    return [
        {path: _by_grid(loss, by_path[path]) for path, loss in by_layer.items()}
        for by_layer, by_path in zip(losses, shares, strict=True)
    ]


def _by_grid(loss: float, shares: Float[np.ndarray, " grids"]) -> list[float]:
    """The loss with each grid, from that with the first one and the share of squared outputs that each changes."""
    scale = loss / float(shares[0]) if shares[0] else 0.0
    return [scale * float(share) for share in shares]


@functools.partial(compiled, static_argnames="grids")
def _rounded(
    kernels: Mapping[str, Array], squares: Mapping[str, Array], *, grids: tuple[Grid, ...]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The kernels on the first grid, and the share of squared outputs that each grid changes, [grids], by path."""
    first, shares = {}, {}
    for path, kernel in kernels.items():
        kernel = kernel.astype(jnp.float32)
        importance = squares[path]
        rounded = [with_searched_scales(kernel, importance, grid).values() for grid in grids]
        first[path] = rounded[0]
        stats = {SQUARES.name: importance}
        shares[path] = jnp.stack([changed_share(kernel, new, stats) for new in rounded])
    return first, shares


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
