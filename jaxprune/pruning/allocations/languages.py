"""Languages: blocks keep more where the languages of the calibration set need different weights.

A mask serves all languages. A weight that only some languages need competes with those that all need, so a block where
the languages disagree loses more of what one of them needs at the same sparsity. OWL has no measure of this.

The measure is a soft form of the share of weights among the best of some languages but not of all. It needs no ranking
and no threshold, so it is the same at any sparsity, and it costs sums over a kernel's outputs.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.base.errors import InputError
from jaxprune.pruning.allocations.allocation import Allocation, Norms
from jaxprune.pruning.allocations.fitted import kept_by_measure


def measure(
    kernels: Mapping[str, Float[Array, "in out"]], norms: Mapping[str, Norms]
) -> Float[Array, ""]:
    """Weighted Jaccard distance between the Wanda scores of the languages, in percent.

    100 · (1 − Σ_ij min_r S_ij^r / Σ_ij max_r S_ij^r) over all kernels of a block, where S_ij^r = |W_ij| · ‖X_j^r‖ of
    language r, divided by its mean over the kernel. 0 if all languages score alike.

    Raises:
      InputError: fewer than two languages.
    """
    common, any_of = jnp.float32(0), jnp.float32(0)
    for path, kernel in kernels.items():
        languages = norms[path].languages
        if len(languages) < 2:
            raise InputError(
                f"allocation languages: got samples of {len(languages)} language; expected two or more, as "
                "calibration.source=fr,sw"
            )
        row = jnp.sum(jnp.abs(kernel.astype(jnp.float32)), axis=1)  # of each input
        scores = languages * row  # [languages, in], sums over outputs
        scores *= kernel.size / jnp.sum(scores, axis=1, keepdims=True)
        common += jnp.sum(jnp.min(scores, axis=0))
        any_of += jnp.sum(jnp.max(scores, axis=0))
    return 100 * (1 - common / any_of)


ALLOCATION = Allocation(
    "languages",
    "less in blocks where languages score weights differently, which takes a pass of the dense model",
    kept_by_measure,
    measure,
    reads_norms=True,
)
