"""The Gram matrix Σ_t x xᵀ of the features of a site, which second-order methods (OBS, SparseGPT) need."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxprune.stats.statistics.statistic import RUNNING, Statistic


def gram(u: Float[Array, "B T D"], valid: Bool[Array, "B T"]) -> Float[Array, "B D D"]:
    """Σ_t u uᵀ over real tokens, float32; pads do not count. Its diagonal contains the sums of squares."""
    kept = jnp.where(valid[..., None], u, 0).astype(jnp.float32)
    return jnp.einsum("btd,bte->bde", kept, kept)


STATISTIC = Statistic("gram", gram, reduction=RUNNING, persisted=False, never_zero=True)
