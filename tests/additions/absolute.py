"""A statistic: sums of the sizes of features."""

import jax.numpy as jnp

from jaxprune.stats.statistics.statistic import Statistic


def of_rows(u, valid):
    return jnp.sum(jnp.abs(jnp.where(valid[..., None], u, 0).astype(jnp.float32)), axis=1)


STATISTIC = Statistic("absolute", of_rows)
