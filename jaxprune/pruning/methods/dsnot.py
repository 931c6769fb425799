"""DSnoT (Zhang et al., ICLR 2024): exchanges dropped and kept weights of a mask until mean errors are small.

The mean error of an output is Σ W_i E[x_i] over its dropped weights. A cycle keeps the dropped weight with the largest
W_i E[x_i] / Var[x_i] of the error's sign again, and drops the kept weight with the lowest Wanda score among those of
the other sign, within the same group of an N:M pattern. An output is finished when the error would not decrease.

Differences from the official code: means and the threshold are over tokens, where theirs are over sequences; all
kernels are pruned, where theirs skips those of the MLP; the mask may come from any method. Weights are never changed,
so only the mask of `sparsegpt` is used.
"""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxprune.pruning.criteria.wanda import CRITERION as WANDA
from jaxprune.pruning.criteria.wanda import weighted
from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion, Inputs
from jaxprune.pruning.following import following
from jaxprune.pruning.method import Method, Pruned

_CYCLES = 50
# The official 0.1 for sums over sequences of 2,048 tokens, as a mean over tokens.
_THRESHOLD = 0.1 / 2048
_NEEDS = ((DEMONSTRATIONS, "squares"), (DEMONSTRATIONS, "sums"))


def exchanged(
    kernel: Float[Array, "in out"], keep: Bool[Array, "in out"], inputs: Inputs, group: int | None
) -> Bool[Array, "in out"]:
    """The mask after the exchanges.

    Args:
      group: M of an N:M pattern, or None.
    """
    stats, tokens = inputs.stats[DEMONSTRATIONS], inputs.tokens[DEMONSTRATIONS]
    mean, square = stats["sums"] / tokens, stats["squares"] / tokens
    variance = jnp.maximum(square - jnp.square(mean), jnp.finfo(jnp.float32).tiny)[:, None]
    size = weighted(kernel, jnp.sqrt(stats["squares"]))
    part = kernel.astype(jnp.float32) * mean[:, None]  # of the mean error, where it is dropped
    rows = jnp.arange(len(kernel))[:, None]

    def cycle(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        keep, error, is_open = state
        sign = jnp.sign(error)
        regrown = jnp.where(~keep & (part * sign > 0), part * sign / variance, -jnp.inf)
        back = jnp.argmax(regrown, axis=0)
        leaves = keep & (part * sign < 0)
        if group is not None:
            leaves &= rows // group == back // group
        out = jnp.argmin(jnp.where(leaves, size, jnp.inf), axis=0)

        def at(array: Array, row: Array) -> Array:
            return jnp.take_along_axis(array, row[None], axis=0)[0]

        after = error - at(part, back) + at(part, out)
        is_open &= at(regrown, back) > -jnp.inf
        is_open &= at(leaves, out) & (jnp.abs(after) < jnp.abs(error))
        is_open &= jnp.abs(error) > _THRESHOLD
        moved = (rows == back) | (rows == out)
        return keep ^ (moved & is_open), jnp.where(is_open, after, error), is_open

    error = jnp.sum(jnp.where(keep, 0, part), axis=0)
    return lax.fori_loop(0, _CYCLES, cycle, (keep, error, jnp.ones(error.shape, bool)))[0]


@functools.cache
def on(start: Method | Criterion) -> Method:
    """The method that begins with the mask of another one."""

    def then(
        kernel: Float[Array, "in out"], before: Pruned, inputs: Inputs, group: int | None
    ) -> Pruned:
        return Pruned(exchanged(kernel, before.keep, inputs, group))

    meaning = "a mask whose dropped and kept weights are exchanged until mean errors are small"
    return following(
        start, then, _NEEDS, name="dsnot", meaning=meaning, on=on, updates_weights=False
    )


METHOD = on(WANDA)
