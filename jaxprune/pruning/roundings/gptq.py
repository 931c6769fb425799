"""GPTQ (Frantar et al. 2023) on llama.cpp's grids: rounds input by input, and lets the later inputs compensate.

The scale of a group of 32 inputs is searched (`searched_scales`) when the loop arrives there, on the weights as the
earlier inputs changed them and with the diagonal of H. See `compensation` for the updates.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import GROUP, Quantized
from jaxprune.pruning.compensation import Constraint, compensated
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.method import Prepared
from jaxprune.pruning.roundings.rounding import Rounding
from jaxprune.pruning.roundings.scales import nearest_levels, searched_scales
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


def round_kernel(kernel: Float[Array, "in out"], inputs: Inputs, grid: Grid) -> Quantized:
    """The kernel on the grid, with the error of each input compensated by the later ones; dropped weights stay 0."""
    upper, squares = (inputs.stats[DEMONSTRATIONS][name] for name in ("factor", "squares"))
    padding = -len(squares) % BLOCK
    importance = jnp.pad(squares, (0, padding))
    keep = inputs.keep
    if keep is not None:
        keep = jnp.pad(keep, ((0, padding), (0, 0)), constant_values=True)

    def decide(start: Array, weights: Array, upper: Array, none: Array | None) -> Array:
        """The scale of each weight; 0 for dropped ones, whose only level is 0 then."""
        del upper, none
        group_importance = lax.dynamic_slice_in_dim(importance, start, GROUP)
        if keep is None:
            scales = searched_scales(weights, group_importance, grid)
            return jnp.broadcast_to(scales, weights.shape)
        kept = lax.dynamic_slice_in_dim(keep, start, GROUP)
        return kept * searched_scales(kept * weights, group_importance, grid)

    constraint = Constraint(
        BLOCK, GROUP, lambda *_: None, decide,
        lambda value, scale: nearest_levels(value, scale, grid) * scale, jnp.float32,
    )  # fmt: skip
    values, scales = compensated(kernel.astype(jnp.float32), jnp.asarray(upper), constraint)
    zero = grid.nearest(jnp.zeros(()))
    levels = jnp.where(scales == 0, zero, jnp.round(values / jnp.where(scales == 0, 1, scales)))
    by_group = scales.reshape(-1, GROUP, scales.shape[1])
    place = jnp.argmax(jnp.abs(by_group), axis=1)[:, None]  # of a kept weight, if there is one
    scale = jnp.take_along_axis(by_group, place, axis=1)[:, 0]
    return Quantized(levels.astype(jnp.int8), {"d": scale}, grid)


ROUNDING = Rounding(
    "gptq",
    "searched scales, and the later inputs compensate the errors of the earlier ones",
    round_kernel,
    needs=((DEMONSTRATIONS, "gram"),),
    prepare=prepare,
)
