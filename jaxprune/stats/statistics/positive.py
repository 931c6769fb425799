"""The number of tokens on which a feature is positive. LAPE (ACL 2024) needs it of the neurons of MLPs."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxprune.stats.statistics.statistic import Statistic


def positive_tokens(u: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D"]:
    """The number of real tokens t with u_t > 0, float32, exact; pads do not count, even NaN."""
    return jnp.sum((u > 0) & valid[..., None], axis=1, dtype=jnp.float32)


STATISTIC = Statistic("positive", positive_tokens)
