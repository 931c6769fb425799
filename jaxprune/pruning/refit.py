"""Least squares for the kept weights of a kernel, by conjugate gradients on the Gram matrix of its inputs.

The kept weights ŵ of an output minimise (w - ŵ)ᵀH(w - ŵ), where w are its weights before pruning and H = Σ xxᵀ over the
tokens, with the damping of SparseGPT: H_SS ŵ_S = (Hw)_S for the kept inputs S. All outputs are solved at once, each
with its own steps. They begin with the weights of the method, so the error never rises.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxprune.models.grids.grid import values_of
from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion, Inputs
from jaxprune.pruning.following import following
from jaxprune.pruning.method import Method, Pruned
from jaxprune.stats.inverse_factor import DAMPING

_STEPS = 100  # at most
_RESIDUAL = 1e-5  # relative to that of no weights at all, at which an output is solved


# Number of steps, solution, residual, direction, and squared norm of the residual of each output.
_State = tuple[Array, Array, Array, Array, Array]


def refitted(
    kernel: Float[Array, "in out"], before: Pruned, gram: Float[Array, "in in"]
) -> Float[Array, "in out"]:
    """The kept weights that change the outputs least, 0 where a weight is dropped.

    Args:
      kernel: weights before pruning.
      before: a result of pruning.
    """
    weights, keep = kernel.astype(jnp.float32), before.keep
    diagonal = jnp.diag(gram)
    damping = DAMPING * jnp.mean(diagonal)
    scale = jnp.where(diagonal + damping > 0, diagonal + damping, 1)[:, None]

    def product(x: Float[Array, "in out"]) -> Float[Array, "in out"]:
        """H x for the kept inputs."""
        return jnp.where(keep, jnp.matmul(gram, x, precision="float32") + damping * x, 0)

    def norm(residual: Float[Array, "in out"]) -> Float[Array, " out"]:
        return jnp.sum(residual * residual / scale, axis=0)

    def step(state: _State) -> _State:
        count, x, residual, direction, size = state
        image = product(direction)
        is_open = size > least
        curvature = jnp.sum(direction * image, axis=0)
        length = jnp.where(is_open & (curvature > 0), size / curvature, 0)
        residual = residual - length * image
        new_size = jnp.where(is_open, norm(residual), size)
        ratio = jnp.where(is_open, new_size / size, 0)
        return (
            count + 1,
            x + length * direction,
            residual,
            residual / scale + ratio * direction,
            new_size,
        )

    def goes_on(state: _State) -> Array:
        return (state[0] < _STEPS) & (state[-1] > least).any()

    start = jnp.where(keep, weights if before.kernel is None else values_of(before.kernel), 0)
    residual = product(weights - start)
    least = _RESIDUAL**2 * norm(product(weights))
    begin = (jnp.int32(0), start, residual, residual / scale, norm(residual))
    return lax.while_loop(goes_on, step, begin)[1]


@functools.cache
def with_refit(method: Method | Criterion) -> Method:
    """The method that also fits the kept weights of another one."""

    def then(
        kernel: Float[Array, "in out"], before: Pruned, inputs: Inputs, group: int | None
    ) -> Pruned:
        del group
        gram = jnp.asarray(inputs.stats[DEMONSTRATIONS]["gram"])
        return Pruned(before.keep, refitted(kernel, before, gram))

    return following(
        method, then, ((DEMONSTRATIONS, "gram"),),
        name=method.name, meaning=method.meaning, updates_weights=True,
    )  # fmt: skip
