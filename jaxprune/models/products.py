"""Products of activations and kernels, and casts of their inputs."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def product(x: Float[Array, "... I"], kernel: Float[Array, "I O"]) -> Float[Array, "... O"]:
    """`x @ kernel` with sums and result in float32; both have one dtype."""
    return jnp.matmul(x, kernel, preferred_element_type=jnp.float32)


def cast_for_matmul(
    x: Float[Array, "*shape"], dtype: DTypeLike, rounded: bool
) -> Float[Array, "*shape"]:
    """`x` as input of a product in `dtype`; with `rounded` its values are rounded to bfloat16, see `ModelConfig`."""
    x = x.astype(dtype)
    # not by a cast to bfloat16 and back, which XLA may remove
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) if rounded else x
