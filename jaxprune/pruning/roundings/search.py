"""Scales that minimise the error weighted by the mean squares of inputs, without compensation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import GROUP, Quantized
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.roundings.rounding import Rounding
from jaxprune.pruning.roundings.scales import nearest_levels, searched_scales


def round_kernel(kernel: Float[Array, "in out"], inputs: Inputs, grid: Grid) -> Quantized:
    """The kernel with the scales that minimise Σ_j E[x_j²] (w_j − q_j)² of each group."""
    squares = jnp.asarray(inputs.stats[DEMONSTRATIONS]["squares"])
    return with_searched_scales(kernel, squares / inputs.tokens[DEMONSTRATIONS], grid)


def with_searched_scales(
    kernel: Float[Array, "in out"], importance: Float[Array, " in"], grid: Grid
) -> Quantized:
    """The kernel on the grid, with the scales that minimise Σ_j h_j (w_j − q_j)² of each group.

    Args:
      importance: h, of each input.
    """

    def group(arguments: tuple[Array, Array]) -> tuple[Array, Array]:
        weights, importance = arguments
        scale = searched_scales(weights, importance, grid)
        return nearest_levels(weights, scale, grid).astype(jnp.int8), scale

    groups = kernel.reshape(-1, GROUP, kernel.shape[1]), importance.reshape(-1, GROUP)
    levels, scales = jax.lax.map(group, groups)
    return Quantized(levels.reshape(kernel.shape), {"d": scales}, grid)


ROUNDING = Rounding(
    "search",
    "scales with the least error, weighted by the mean squares of inputs; no compensation",
    round_kernel,
    needs=((DEMONSTRATIONS, "squares"),),
)
