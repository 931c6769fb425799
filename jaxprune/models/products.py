"""Casts of the inputs of products."""

import jax
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def cast_for_matmul(
    x: Float[Array, "*shape"], dtype: DTypeLike, rounded: bool
) -> Float[Array, "*shape"]:
    """`x` as input of a product in `dtype`; with `rounded` its values are rounded to bfloat16, see `ModelConfig`."""
    x = x.astype(dtype)
    # not by a cast to bfloat16 and back, which XLA may remove
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) if rounded else x
