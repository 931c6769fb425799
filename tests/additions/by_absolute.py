"""A method that reads two statistics: weights times features' mean size, and what one pass adds up on the devices."""

import jax.numpy as jnp

from jaxprune.pruning.method import Method, Pruned


def prune(kernel, inputs, budget):
    stats = inputs.stats["demonstrations"]
    scores = (
        jnp.abs(kernel) * stats["absolute"][:, None] * jnp.sqrt(jnp.diag(stats["gram"]))[:, None]
    )
    return Pruned(budget.keep(scores))


METHOD = Method(
    "by_absolute", "weights by sizes and powers of features", prune,
    needs=(("demonstrations", "absolute"), ("demonstrations", "gram")),
)  # fmt: skip
