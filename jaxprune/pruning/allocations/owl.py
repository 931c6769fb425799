"""OWL, outlier weighed layerwise sparsity (Yin et al., ICML 2024): blocks with more outliers keep more."""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.allocations.allocation import Allocation
from jaxprune.pruning.allocations.fitted import kept_by_measure
from jaxprune.pruning.criteria.wanda import weighted

_OUTLIER = 5  # times the mean score: M of the paper


def measure(
    kernels: Mapping[str, Float[Array, "in out"]], norms: Mapping[str, Float[Array, " in"]]
) -> Float[Array, ""]:
    """Percentage of a block's weights whose Wanda score is above 5 times the block's mean score (eq. 2)."""
    scores = [weighted(kernel, norms[path]) for path, kernel in kernels.items()]
    size = sum(score.size for score in scores)
    # first the sums of columns: one long sum of float32 would lose digits
    mean = sum(jnp.sum(jnp.sum(score, axis=0)) for score in scores) / size
    above = sum(jnp.sum(jnp.mean(score > _OUTLIER * mean, axis=0)) * len(score) for score in scores)
    return 100 * jnp.asarray(above) / size


ALLOCATION = Allocation(
    "owl",
    "less in blocks with more outliers among their Wanda scores, which takes a pass of the dense model",
    kept_by_measure,
    measure,
    reads_samples=True,
)
