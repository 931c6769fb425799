"""RIA, relative importance and activations (Zhang et al., ICLR 2024, eq. 4)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion, Inputs

_POWER = 0.5  # of the norms, as in the paper's experiments


def score(kernel: Float[Array, "*layers in out"], inputs: Inputs) -> Float[Array, "*layers in out"]:
    """(|W_ij| / Σ_i |W_ij| + |W_ij| / Σ_j |W_ij|) · ‖X_j‖₂^0.5, float32; weights of a row or column of zeros score 0.

    The official code compares these scores within the whole kernel by default: `group="kernel"`.
    """
    size = jnp.abs(kernel.astype(jnp.float32))

    def share(axis: int) -> Array:
        total = size.sum(axis, keepdims=True)
        return size / jnp.where(total == 0, 1, total)

    norm = inputs.norms[DEMONSTRATIONS].astype(jnp.float32)
    return (share(-1) + share(-2)) * norm[..., None] ** _POWER


CRITERION = Criterion(
    "ria",
    "relative size of the weight times the root of the norm of its input",
    score,
    measures=(DEMONSTRATIONS,),
    options=("role",),
)
