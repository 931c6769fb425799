"""Kernels on which the predictions of the dense model depend most keep more."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float
from scipy.special import erf

from jaxprune.data.batches import Batch
from jaxprune.devices.compiled import compiled
from jaxprune.hf.model import Model
from jaxprune.pruning.allocations.allocation import Allocation, Blocks
from jaxprune.pruning.allocations.fitted import MOST, solved
from jaxprune.pruning.criteria.wanda import weighted
from jaxprune.pruning.selection import keep_rows
from jaxprune.pruning.sensitivity import sensitivities

# A divergence that is rounding error beside the largest one.
_LEAST = 1e-6


def shares(blocks: Blocks) -> list[dict[str, float]]:
    """Shares erf(t / √2), with t in proportion to the cube root of n / s for a kernel of n weights that costs s.

    This is the share of normally distributed scores below t in size. With √(n / s) all kernels would pay the same for
    the last weight, if costs grew with the sum of the squares of what is dropped. They grow faster, as all kernels are
    pruned at once: pruned by SparseGPT to 50%, Gemma 3 270M lost less with an exponent of 0.35 than with 0.25 or 0.5.
    """
    names = [(layer, name) for layer, kernels in enumerate(blocks.kernels) for name in kernels]
    sizes = np.array([blocks.kernels[layer][name] for layer, name in names], float)
    costs = np.array([blocks.measured[layer][name] for layer, name in names])
    costs = np.maximum(costs, _LEAST * costs.max())
    thresholds = np.cbrt(sizes / sizes.sum() * costs.sum() / costs)
    most = max(MOST, blocks.sparsity)

    def shares_at(log_t: float) -> Float[np.ndarray, " kernels"]:
        return np.minimum(erf(np.exp(log_t) * thresholds / np.sqrt(2)), most)

    solution = solved(shares_at, sizes, blocks.sparsity, (-20.0, 20.0))
    result: list[dict[str, float]] = [dict.fromkeys(m, 0.0) for m in blocks.measured]
    for (layer, name), share in zip(names, solution, strict=True):
        result[layer][name] = share
    return result


def measure(
    model: Model,
    batches: Sequence[Batch],
    settings: Any,
    *,
    mesh: Mesh,
    progress: bool,
) -> list[dict[str, float]]:
    """The divergence of predictions without half of a kernel's weights, those of the smallest Wanda scores, by name."""
    losses = sensitivities(model, batches, _halved, settings.dtype, mesh, progress)
    return [{path.removesuffix("/kernel"): loss for path, loss in m.items()} for m in losses]


@compiled
def _halved(kernels: Mapping[str, Array], squares: Mapping[str, Array]) -> dict[str, Array]:
    return {
        path: kernel * keep_rows(weighted(kernel, jnp.sqrt(squares[path])), len(kernel) // 2)
        for path, kernel in kernels.items()
    }


ALLOCATION = Allocation(
    "predictions",
    "less in kernels without half of which the dense model's predictions change most, which takes passes of a few "
    "samples",
    shares,
    reads_samples=True,
    measure_model=measure,
)
