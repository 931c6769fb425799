"""Weights that are constrained one input after the other, while the later inputs compensate (OBS).

For a kernel W [in, out] and its inputs X, H = 2/n Σ X Xᵀ, and U is the upper triangle with H⁻¹ = Uᵀ U. Input by input,
W_i gets the nearest allowed value, and its error divided by U_ii is subtracted, times U_ij, from the weights of the
inputs j > i. SparseGPT allows 0 for dropped weights, GPTQ the levels of a grid.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Shaped


class Constraint(NamedTuple):
    """The values that weights may have.

    Attributes:
      size: inputs of a block, after which a product updates all later inputs.
      width: inputs whose errors are computed one by one before a product applies them; divides `size`.
      before: (number of the block, its weights [size, out], U [size, size]) → what is decided for a block at once, such
        as its mask [size, out]; None if all is decided in `decide`.
      decide: (index of the first input, weights [width, out], U [width, width], the part of `before`'s result or None)
        → what determines the allowed values of these inputs, [width, out], such as their mask or scale.
      allowed: (weights [out], the decision [out] of their input) → the nearest allowed values [out].
      dtype: dtype of the decisions.
    """

    size: int
    width: int
    before: Callable[[Array, Array, Array], Shaped[Array, "size out"] | None]
    decide: Callable[[Array, Array, Array, Array | None], Shaped[Array, "width out"]]
    allowed: Callable[[Array, Array], Float[Array, " out"]]
    dtype: DTypeLike


def compensated(
    weights: Float[Array, "in out"], upper: Float[Array, "in in"], constraint: Constraint
) -> tuple[Float[Array, "in out"], Shaped[Array, "in out"]]:
    """The weights at allowed values, and the decisions.

    Args:
      upper: U.
    """
    rows, size = len(weights), constraint.size
    padding = -rows % size
    # padding inputs have a factor of 1; nothing reads their weights
    weights = jnp.pad(weights, ((0, padding), (0, 0)))
    upper = jnp.pad(upper, ((0, padding), (0, padding)))
    upper += jnp.diag((jnp.arange(rows + padding) >= rows).astype(upper.dtype))

    def block(number: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        weights, decisions = state
        start = number * size
        block_weights = lax.dynamic_slice_in_dim(weights, start, size)
        across = lax.dynamic_slice_in_dim(upper, start, size)
        square = lax.dynamic_slice_in_dim(across, start, size, axis=1)
        new, decided, errors = _block(block_weights, square, start, constraint)
        later = jnp.arange(len(weights)) >= start + size
        weights -= jnp.where(later[:, None], across.T @ errors, 0)
        return (
            lax.dynamic_update_slice_in_dim(weights, new, start, 0),
            lax.dynamic_update_slice_in_dim(decisions, decided, start, 0),
        )

    first = weights, jnp.ones(weights.shape, constraint.dtype)
    weights, decisions = lax.fori_loop(0, len(weights) // size, block, first)
    return weights[:rows], decisions[:rows]


def _block(
    weights: Float[Array, "size out"],
    upper: Float[Array, "size size"],
    start: Array,
    constraint: Constraint,
) -> tuple[Array, Array, Array]:
    """A block of inputs at allowed values, the decisions, and the errors divided by the diagonal of U."""
    width = constraint.width
    block_decision = constraint.before(start // constraint.size, weights, upper)

    def step(number: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        new, decisions, errors = state
        at = number * width
        before = lax.dynamic_slice_in_dim(upper, at, width, axis=1)
        now = lax.dynamic_slice_in_dim(weights, at, width) - before.T @ errors
        factors = lax.dynamic_slice_in_dim(before, at, width)
        part = None
        if block_decision is not None:
            part = lax.dynamic_slice_in_dim(block_decision, at, width)
        decision = constraint.decide(start + at, now, factors, part)

        def settle(row: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            new, errors = state
            value = now[row] - factors[:, row] @ errors
            allowed = constraint.allowed(value, decision[row])
            error = (value - allowed) / factors[row, row]
            return new.at[row].set(allowed), errors.at[row].set(error)

        zeros = jnp.zeros_like(now)
        now, step_errors = lax.fori_loop(0, width, settle, (zeros, zeros))
        return (
            lax.dynamic_update_slice_in_dim(new, now, at, 0),
            lax.dynamic_update_slice_in_dim(decisions, decision, at, 0),
            lax.dynamic_update_slice_in_dim(errors, step_errors, at, 0),
        )

    zeros = jnp.zeros_like(weights)
    first = zeros, jnp.ones(weights.shape, constraint.dtype), zeros
    return lax.fori_loop(0, len(weights) // width, step, first)
