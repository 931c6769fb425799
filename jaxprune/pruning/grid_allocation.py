"""Grids of kernels under a limit of bytes: more bits where they remove most of the error of outputs per byte."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.hf.gguf.tensors import tensor_size
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids import Grid
from jaxprune.models.model import kernel_shapes
from jaxprune.pruning.allocations.allocation import Norms
from jaxprune.pruning.roundings.rounding import changed_share
from jaxprune.pruning.roundings.search import with_searched_scales
from jaxprune.stats.statistics import SQUARES


def measured_errors(
    kernels: Mapping[str, Float[Array, "in out"]],
    norms: Mapping[str, Norms],
    *,
    grids: Sequence[Grid],
) -> dict[str, Float[Array, " grids"]]:
    """The share of a kernel's squared outputs that each grid changes, by path; inputs count as independent.

    Args:
      norms: of the kernels' inputs; empty to give all inputs the same size.
    """
    errors = {}
    for path, kernel in kernels.items():
        squares = jnp.square(norms[path].all) if norms else jnp.ones(len(kernel))
        rounded = (with_searched_scales(kernel, squares, grid) for grid in grids)
        shares = [changed_share(kernel, new, {SQUARES.name: squares}) for new in rounded]
        errors[path] = jnp.stack(shares)
    return errors


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
