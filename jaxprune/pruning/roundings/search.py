"""Scales that minimise the error weighted by the mean squares of inputs, without compensation."""

import jax
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
    importance = inputs.stats[DEMONSTRATIONS]["squares"] / inputs.tokens[DEMONSTRATIONS]

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
