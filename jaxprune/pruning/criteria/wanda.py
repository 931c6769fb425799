"""Wanda (Sun et al. 2024), the paper's criterion: magnitudes times the norms of input features."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion, Inputs


def weighted(
    kernel: Float[Array, "*layers in out"], norm: Float[Array, "*layers in"]
) -> Float[Array, "*layers in out"]:
    """S_ij = |W_ij| · ‖X_j‖₂ (Wanda, eq. 1), float32; the norm of input feature j scales row j of the kernel."""
    return jnp.abs(kernel.astype(jnp.float32)) * norm.astype(jnp.float32)[..., None]


def score(kernel: Float[Array, "*layers in out"], inputs: Inputs) -> Float[Array, "*layers in out"]:
    """Magnitudes weighted by the norms on the demonstrations."""
    return weighted(kernel, inputs.norms[DEMONSTRATIONS])


CRITERION = Criterion(
    "wanda",
    "size of the weight times the norm of its input",
    score,
    measures=(DEMONSTRATIONS,),
    options=("role",),
    by_column=True,
)
