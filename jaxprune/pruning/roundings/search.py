"""Scales that minimise the error weighted by the mean squares of inputs, without compensation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import BLOCK
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.roundings.rounding import Rounding
from jaxprune.pruning.roundings.scales import rounded, searched_scales


def round_kernel(
    kernel: Float[Array, "in out"], inputs: Inputs, grid: Grid
) -> Float[Array, "in out"]:
    """The kernel with the scales that minimise Σ_j E[x_j²] (w_j − q_j)² of each block."""
    squares = jnp.asarray(inputs.stats[DEMONSTRATIONS]["squares"])
    importance = squares / inputs.tokens[DEMONSTRATIONS]
    return with_searched_scales(kernel, importance, grid)


def with_searched_scales(
    kernel: Float[Array, "in out"], importance: Float[Array, " in"], grid: Grid
) -> Float[Array, "in out"]:
    """The kernel on the grid, with the scales that minimise Σ_j h_j (w_j − q_j)² of each block.

    Args:
      importance: h, of each input.
    """

    def block(arguments: tuple[Array, Array]) -> Array:
        weights, importance = arguments
        return rounded(weights, searched_scales(weights, importance, grid), grid)

    blocks = kernel.reshape(-1, BLOCK, kernel.shape[1]), importance.reshape(-1, BLOCK)
    return jax.lax.map(block, blocks).reshape(kernel.shape)


ROUNDING = Rounding(
    "search",
    "scales with the least error, weighted by the mean squares of inputs; no compensation",
    round_kernel,
    needs=((DEMONSTRATIONS, "squares"),),
)
