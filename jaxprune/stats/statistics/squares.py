"""Sums of squares, whose roots are the paper's feature magnitudes ‖X_j‖₂ (section 3)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxprune.stats.statistics.statistic import Statistic


def sum_of_squares(u: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Σ_t u² over real tokens, float32; pads do not count, even NaN."""
    kept = jnp.where(valid[..., None], u, 0).astype(jnp.float32)
    return jnp.sum(jnp.square(kept), axis=1)


STATISTIC = Statistic("squares", sum_of_squares, never_zero=True)
