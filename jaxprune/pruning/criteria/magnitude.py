"""Magnitude: the absolute value of the weight."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.criterion import Criterion, Inputs


def score(kernel: Float[Array, "*layers in out"], inputs: Inputs) -> Float[Array, "*layers in out"]:
    """|W_ij|, in float32."""
    del inputs
    return jnp.abs(kernel.astype(jnp.float32))


CRITERION = Criterion("magnitude", "size of the weight alone", score, by_column=True)
