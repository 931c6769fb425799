"""GPTQ (Frantar et al. 2023) on llama.cpp's grids: rounds input by input, and lets the later inputs compensate.

The scale of a block of 32 inputs is searched (`searched_scales`) when the loop arrives there, on the weights as the
earlier inputs changed them and with the diagonal of H. See `compensation` for the updates.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import BLOCK as GRID_BLOCK
from jaxprune.pruning.compensation import Constraint, compensated
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.method import Prepared
from jaxprune.pruning.roundings.rounding import Rounding
from jaxprune.pruning.roundings.scales import rounded, searched_scales
from jaxprune.stats.inverse_factor import BLOCK, inverse_factor


def prepare(
    stats: Mapping[str, Mapping[str, Any]], tokens: Mapping[str, Float[Array, ""]]
) -> Prepared:
    """The factor U of a site, with its Gram matrix and mean squares, once for all kernels that read it."""
    gram = stats[DEMONSTRATIONS]["gram"]
    factor, damping = inverse_factor(gram, tokens[DEMONSTRATIONS])
    squares = jnp.diag(gram) / tokens[DEMONSTRATIONS]
    own = {"factor": factor, "gram": gram, "squares": squares}
    return Prepared({DEMONSTRATIONS: own}, damping)


def round_kernel(
    kernel: Float[Array, "in out"], inputs: Inputs, grid: Grid
) -> Float[Array, "in out"]:
    """The kernel on the grid, with the error of each input compensated by the later ones."""
    upper, squares = (inputs.stats[DEMONSTRATIONS][name] for name in ("factor", "squares"))
    importance = jnp.pad(squares, (0, -len(squares) % BLOCK))

    def decide(start: Array, weights: Array, upper: Array, none: Array | None) -> Array:
        del upper, none
        block_importance = lax.dynamic_slice_in_dim(importance, start, GRID_BLOCK)
        return jnp.broadcast_to(searched_scales(weights, block_importance, grid), weights.shape)

    constraint = Constraint(
        BLOCK, GRID_BLOCK, lambda *_: None, decide,
        lambda value, scale: rounded(value, scale, grid), jnp.float32,
    )  # fmt: skip
    return compensated(kernel.astype(jnp.float32), jnp.asarray(upper), constraint)[0]


ROUNDING = Rounding(
    "gptq",
    "searched scales, and the later inputs compensate the errors of the earlier ones",
    round_kernel,
    needs=((DEMONSTRATIONS, "gram"),),
    prepare=prepare,
)
