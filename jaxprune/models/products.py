"""Numbers on their way into products."""

from __future__ import annotations

import jax
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def cast_for_matmul(
    x: Float[Array, "*shape"], dtype: DTypeLike, rounded: bool
) -> Float[Array, "*shape"]:
    """`x` as it enters a product of `dtype`; with `rounded` its values are those of bfloat16, see `ModelConfig`."""
    x = x.astype(dtype)
    # not to bfloat16 and back, which XLA is free to leave out
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) if rounded else x
