"""A criterion: weights times the square of their features' norms."""

import jax.numpy as jnp

from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion


def score(kernel, inputs):
    norm = inputs.norms[DEMONSTRATIONS][:, None]
    return jnp.abs(kernel.astype(jnp.float32)) * norm * norm


CRITERION = Criterion("scratch", "weights by squared norms", score, measures=(DEMONSTRATIONS,))
