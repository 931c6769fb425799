"""The scales of groups of weights that minimise the squared error on a grid."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxprune.models.grids.grid import Grid, in_float16


def searched_scales(
    weights: Float[Array, "32 out"], importance: Float[Array, " 32"], grid: Grid
) -> Float[Array, " out"]:
    """The scale of each output's group, float32 with the precision of float16.

    Each candidate puts the largest weight on one of `Grid.extremes`, rounds all weights to levels q, and is replaced by
    the least-squares scale Σ h w q / Σ h q². The one with the least Σ h (w − d·q)² is returned.

    Args:
      importance: h, of each input.
    """
    # inputs that are always 0 still need a scale
    h = jnp.maximum(importance, jnp.mean(importance) * 1e-6 + jnp.finfo(jnp.float32).tiny)[:, None]
    largest = jnp.take_along_axis(weights, jnp.argmax(jnp.abs(weights), axis=0)[None], axis=0)[0]
    extremes = jnp.array(grid.extremes, jnp.float32)

    def tried(number: Array, best: tuple[Array, Array]) -> tuple[Array, Array]:
        gain, scale = best
        inverse = jnp.where(largest == 0, 0, extremes[number] / largest)
        levels = grid.nearest(weights * inverse)
        product, square = (
            jnp.sum(h * weights * levels, axis=0),
            jnp.sum(h * levels * levels, axis=0),
        )
        refitted = jnp.where(square > 0, product / square, 0)
        is_better = refitted * product > gain
        return jnp.where(is_better, refitted * product, gain), jnp.where(is_better, refitted, scale)

    zeros = jnp.zeros_like(largest)
    _, scale = lax.fori_loop(0, len(extremes), tried, (zeros, zeros))
    return in_float16(scale)


def nearest_levels(
    weights: Float[Array, "*inputs out"], scale: Float[Array, " out"], grid: Grid
) -> Float[Array, "*inputs out"]:
    """The levels of the grid nearest to the weights with these scales; those of 0 where the scale is 0."""
    return grid.nearest(jnp.where(scale == 0, 0, weights / scale))
