"""Sums of the features of a site, whose share of the tokens is their mean."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxprune.stats.statistics.statistic import Statistic


def sum_of_features(u: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """Σ_t u over real tokens, float32; pads do not count, even NaN."""
    return jnp.sum(jnp.where(valid[..., None], u, 0).astype(jnp.float32), axis=1)


STATISTIC = Statistic("sums", sum_of_features)
