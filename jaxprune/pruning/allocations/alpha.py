"""AlphaPruning (Lu et al., NeurIPS 2024): blocks with heavier-tailed spectra keep more; reads weights only.

The eigenvalues λ of a kernel are its squared singular values. Their largest follow a power law p(λ) ~ λ^−α from some
λ_min on; a small α, a heavy tail, means a well-trained kernel.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxprune.pruning.allocations.allocation import Allocation, Blocks
from jaxprune.pruning.allocations.fitted import fitted

_RANGE = 0.3  # ε: shares before rescaling are between 1 − ε and 1 + ε
_BINS = 100
# λ_min of a fit, as multiples of the peak. The official code compares the logarithm of the lower limit with λ itself,
# which admits nearly all smaller eigenvalues.
_NEAR_PEAK = (0.95, 1.5)
_AT_ONCE = 64  # fits


def measure(
    kernels: Mapping[str, Float[Array, "in out"]], norms: Mapping[str, Array]
) -> Float[Array, ""]:
    """The mean over a block's kernels of the exponent α of their spectra."""
    del norms
    return jnp.mean(jnp.stack([exponent(kernel) for kernel in kernels.values()]))


def exponent(kernel: Float[Array, "in out"]) -> Float[Array, ""]:
    """α of the power law that fits the tail of a kernel's spectrum best (Hill's estimator, "alpha_peak").

    λ_min is one of the eigenvalues near the peak of the histogram of log10 λ: that with the least Kolmogorov-Smirnov
    distance of the n eigenvalues from λ_min on to a power law with α = 1 + n / (Σ ln λ − n ln λ_min).
    """
    root = jnp.linalg.svd(kernel.astype(jnp.float32), compute_uv=False)[::-1]
    # a kernel of lower rank has singular values that are rounding errors, or 0
    root = jnp.maximum(root, root[-1] * jnp.finfo(jnp.float32).eps)
    log = 2 * jnp.log(root)
    bins, edges = jnp.histogram(log, _BINS)
    peak = edges[jnp.argmax(bins)]
    count = len(log)
    places = jnp.arange(count)
    tail = jnp.cumsum(log[::-1])[::-1]

    def fit(place: Array) -> tuple[Array, Array]:
        n = count - place
        alpha = 1 + n / (tail[place] - n * log[place])
        model = 1 - jnp.exp((log - log[place]) * (1 - alpha))
        distance = jnp.abs(model - (places - place) / n)
        return alpha, jnp.max(jnp.where(places >= place, distance, 0))

    alphas, distances = jax.lax.map(fit, places[:-1], batch_size=_AT_ONCE)
    lowest, highest = (peak + float(np.log(limit)) for limit in _NEAR_PEAK)
    near = (log[:-1] >= lowest) & (log[:-1] <= highest)
    return alphas[jnp.argmin(jnp.where(near & jnp.isfinite(alphas), distances, jnp.inf))]


def shares(blocks: Blocks) -> list[float]:
    """Shares that grow linearly with α from 1 − ε to 1 + ε, times the factor that gives the overall sparsity.

    They are clipped, as the official code's may exceed 1; the same everywhere if all α are equal.
    """
    return fitted(lambda factor, place: factor * (1 - _RANGE + 2 * _RANGE * place), blocks)


ALLOCATION = Allocation(
    "alpha",
    "less in blocks whose weights have spectra with heavier tails (AlphaPruning), which takes no data",
    shares,
    measure,
)
