"""SparseGPT (Frantar and Alistarh 2023): drops weights in the order of the inputs, and lets the later ones compensate.

For a kernel W [in, out] and its inputs X, H = 2/n Σ X Xᵀ, and U is the upper triangle with H⁻¹ = Uᵀ U. A block of 128
inputs loses the weights with the lowest W² / diag(U)², over all its outputs. Input by input, the error W_i / U_ii of
the dropped weights is then subtracted, times U_ij, from the weights of the inputs j > i.

The official code drops one weight more per block, as it compares with `<=`, and continues with the identity if H has
no Cholesky factor.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxprune.pruning.budget import BLOCK, Budget, group_sizes
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
    size = BLOCK if groups is None else groups[1] * max(1, BLOCK // groups[1])
    padding = -rows % size
    # padding inputs have a factor of 1, and are neither counted nor updated
    weights = jnp.where(dead[:, None], 0, kernel.astype(jnp.float32))
    weights = jnp.pad(weights, ((0, padding), (0, 0)))
    upper = jnp.pad(upper, ((0, padding), (0, padding)))
    upper += jnp.diag((jnp.arange(rows + padding) >= rows).astype(upper.dtype))

    def block(number: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        weights, keep = state
        start = number * size
        block_weights = lax.dynamic_slice_in_dim(weights, start, size)
        across = lax.dynamic_slice_in_dim(upper, start, size)
        square = lax.dynamic_slice_in_dim(across, start, size, axis=1)
        kept = None
        if groups is None:
            real = (start + jnp.arange(size) < rows)[:, None]
            kept = _lowest(block_weights, square, real, budget.blocks[number])
        new, kept, errors = _compensated(block_weights, square, kept, groups)
        later = jnp.arange(len(weights)) >= start + size
        weights -= jnp.where(later[:, None], across.T @ errors, 0)
        return (
            lax.dynamic_update_slice_in_dim(weights, new, start, 0),
            lax.dynamic_update_slice_in_dim(keep, kept, start, 0),
        )

    first = weights, jnp.ones(weights.shape, bool)
    weights, keep = lax.fori_loop(0, len(weights) // size, block, first)
    return Pruned(keep[:rows], weights[:rows])


def _lowest(
    weights: Float[Array, "block out"],
    upper: Float[Array, "block block"],
    real: Bool[Array, "block 1"],
    count: Array,
) -> Bool[Array, "block out"]:
    """The mask without the `count` weights of a block that cost least."""
    scores = jnp.square(weights) / jnp.square(jnp.diag(upper))[:, None]
    scores = jnp.where(real, scores, jnp.inf)
    return keep_rows(scores.reshape(-1, 1), count).reshape(weights.shape)


def _compensated(
    weights: Float[Array, "block out"],
    upper: Float[Array, "block block"],
    keep: Bool[Array, "block out"] | None,
    groups: tuple[int, int] | None,
) -> tuple[Array, Array, Array]:
    """A block of inputs with dropped weights 0 and the later ones updated, its mask, and the errors.

    Args:
      keep: the mask; None with an N:M pattern, whose groups are selected from updated weights.
    """
    width = _WIDTH if groups is None else groups[1]

    def step(number: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        new, kept, errors = state
        at = number * width
        before = lax.dynamic_slice_in_dim(upper, at, width, axis=1)
        now = lax.dynamic_slice_in_dim(weights, at, width) - before.T @ errors
        factors = lax.dynamic_slice_in_dim(before, at, width)
        if groups is None:
            mask = lax.dynamic_slice_in_dim(kept, at, width)
        else:
            scores = jnp.square(now) / jnp.square(jnp.diag(factors))[:, None]
            mask = keep_groups(scores, *groups)

        def prune_row(row: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            new, errors = state
            value = now[row] - factors[:, row] @ errors
            new = new.at[row].set(jnp.where(mask[row], value, 0))
            error = jnp.where(mask[row], 0, value) / factors[row, row]
            return new, errors.at[row].set(error)

        zeros = jnp.zeros_like(now)
        now, step_errors = lax.fori_loop(0, width, prune_row, (zeros, zeros))
        return (
            lax.dynamic_update_slice_in_dim(new, now, at, 0),
            lax.dynamic_update_slice_in_dim(kept, mask, at, 0),
            lax.dynamic_update_slice_in_dim(errors, step_errors, at, 0),
        )

    zeros = jnp.zeros_like(weights)
    first = zeros, jnp.ones(weights.shape, bool) if keep is None else keep, zeros
    return lax.fori_loop(0, len(weights) // width, step, first)


METHOD = Method(
    "sparsegpt",
    "second-order cost of each weight; the kept ones compensate the dropped",
    prune,
    needs=((DEMONSTRATIONS, "gram"),),
    updates_weights=True,
    selects=True,
    prepare=prepare,
)
