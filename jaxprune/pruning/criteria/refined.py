"""The paper's refined metric for BLOOM (section 5): lower scores for features that are also large on code."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.pruning.criteria.wanda import weighted
from jaxprune.pruning.criterion import CODE, DEMONSTRATIONS, Criterion, Inputs


def refined_norm(
    translation: Float[Array, "*layers in"],
    code: Float[Array, "*layers in"],
    compat: str = "corrected",
) -> Float[Array, "*layers in"]:
    """‖X_j^mt‖ · (‖X_j^mt‖ / ‖X_j^code‖), in float32.

    A feature that is always 0 on code has a code norm of 0. Under "corrected" the denominator is at
    least the smallest positive code norm of the same row of features (1 if all are 0, so only the
    translation norms determine the order). The result is then finite for finite norms, and 0 where
    the translation norm is 0. Under "official" the division is unguarded: x/0 is infinite, 0/0 is NaN.
    """
    translation, code = translation.astype(jnp.float32), code.astype(jnp.float32)
    if compat == "official":
        return translation * (translation / code)
    floor = jnp.min(code, axis=-1, keepdims=True, where=code > 0, initial=jnp.inf)
    floor = jnp.where(jnp.isinf(floor), 1, floor)
    refined = translation * (translation / jnp.maximum(code, floor))
    return jnp.minimum(refined, jnp.finfo(jnp.float32).max)


def score(kernel: Float[Array, "*layers in out"], inputs: Inputs) -> Float[Array, "*layers in out"]:
    """Magnitudes weighted by the refined norms."""
    norms = inputs.norms
    return weighted(kernel, refined_norm(norms[DEMONSTRATIONS], norms[CODE], inputs.compat))


CRITERION = Criterion(
    "refined",
    "Wanda with translation norms over code norms",
    score,
    measures=(DEMONSTRATIONS, CODE),
    options=("compat", "role"),
    by_column=True,
    finite=False,  # compat "official" divides by 0
)
