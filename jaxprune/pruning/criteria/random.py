"""Random: a control. Dropping the lowest uniform scores is a random choice of weights."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.criterion import Criterion, Inputs


def score(kernel: Float[Array, "*layers in out"], inputs: Inputs) -> Float[Array, "*layers in out"]:
    """Uniform in [0, 1), float32."""
    return jax.random.uniform(inputs.key, kernel.shape, jnp.float32)


CRITERION = Criterion(
    "random", "a random choice, by `seed`", score, options=("seed",), by_column=True
)
