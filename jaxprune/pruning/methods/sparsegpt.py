"""SparseGPT (Frantar and Alistarh 2023): drops weights in the order of the inputs, and lets the later ones compensate.

A block of 128 inputs loses the weights with the lowest W² / diag(U)², over all its outputs. `compensation` describes U
and the updates of the others.

The official code drops one weight more per block, as it compares with `<=`, and continues with the identity if H has
no Cholesky factor.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jaxprune.pruning.budget import BLOCK, Budget, group_sizes
from jaxprune.pruning.compensation import Constraint, compensated
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.method import Method, Prepared, Pruned
from jaxprune.pruning.selection import keep_groups, keep_rows
from jaxprune.stats.inverse_factor import inverse_factor

_WIDTH = 16  # inputs whose errors are computed one by one before a product applies them


def prepare(
    stats: Mapping[str, Mapping[str, Any]], tokens: Mapping[str, Float[Array, ""]]
) -> Prepared:
    """The factor U of a site and its features that are always 0, once for all kernels that read it."""
    gram = stats[DEMONSTRATIONS]["gram"]
    factor, damping = inverse_factor(gram, tokens[DEMONSTRATIONS])
    return Prepared({DEMONSTRATIONS: {"factor": factor, "dead": jnp.diag(gram) == 0}}, damping)


def prune(kernel: Float[Array, "in out"], inputs: Inputs, budget: Budget) -> Pruned:
    """Drops `budget.blocks` weights of each block of inputs, or as the pattern says, and updates the others.

    Weights of features that are always 0 become 0, as in the official code.
    """
    upper, dead = (inputs.stats[DEMONSTRATIONS][name] for name in ("factor", "dead"))
    groups, rows = group_sizes(budget.pattern), len(kernel)

    def lowest(number: Array, weights: Array, upper: Array) -> Bool[Array, "size out"] | None:
        """The mask without the weights of a block that cost least; a pattern is selected from updated weights."""
        if groups is not None:
            return None
        real = (number * BLOCK + jnp.arange(BLOCK) < rows)[:, None]
        scores = jnp.where(real, _costs(weights, upper), jnp.inf)
        return keep_rows(scores.reshape(-1, 1), budget.blocks[number]).reshape(weights.shape)

    def decide(start: Array, weights: Array, upper: Array, mask: Array | None) -> Array:
        del start
        if groups is None:
            return mask  # type: ignore[return-value]
        return keep_groups(_costs(weights, upper), *groups)

    size, width = BLOCK, _WIDTH
    if groups is not None:
        size, width = groups[1] * max(1, BLOCK // groups[1]), groups[1]
    constraint = Constraint(
        size, width, lowest, decide, lambda value, kept: jnp.where(kept, value, 0), bool
    )
    weights = jnp.where(dead[:, None], 0, kernel.astype(jnp.float32))
    new, keep = compensated(weights, jnp.asarray(upper), constraint)
    return Pruned(keep, new)


def _costs(
    weights: Float[Array, "block out"], upper: Float[Array, "block block"]
) -> Float[Array, "block out"]:
    """W² / diag(U)², the rise of the squared error without each weight, after compensation."""
    return jnp.square(weights) / jnp.square(jnp.diag(upper))[:, None]


METHOD = Method(
    "sparsegpt",
    "second-order cost of each weight; the kept ones compensate the dropped",
    prune,
    needs=((DEMONSTRATIONS, "gram"),),
    updates_weights=True,
    selects=True,
    prepare=prepare,
)
