"""A method that changes weights: the largest of a column stay, and grow to the column's old mean size."""

import jax.numpy as jnp

from jaxprune.pruning.method import Method, Pruned


def prune(kernel, inputs, budget):
    size = jnp.abs(kernel)
    keep = budget.keep(size)
    kept = jnp.where(keep, size, 0).sum(axis=0)
    return Pruned(keep, kernel * (size.sum(axis=0) / jnp.where(kept > 0, kept, 1)))


METHOD = Method(
    "rescaled",
    "largest weights, scaled to the old mean",
    prune,
    by_column=True,
    updates_weights=True,
)
