"""Products of activations and kernels, and casts of their inputs."""

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def cast_for_matmul(
    x: Float[Array, "*shape"], dtype: DTypeLike, rounded: bool
) -> Float[Array, "*shape"]:
    """`x` as input of a product in `dtype`; with `rounded` its values are rounded to bfloat16, see `ModelConfig`."""
    x = x.astype(dtype)
    # not by a cast to bfloat16 and back, which XLA may remove
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7) if rounded else x


# The name of products, for policies that store them for the gradient.
PRODUCT = "product"


def product(x: Float[Array, "... I"], kernel: Float[Array, "I O"]) -> Float[Array, "... O"]:
    """`x @ kernel` with sums and result in float32; both have one dtype."""
    return checkpoint_name(_product(x, kernel), PRODUCT)


@jax.custom_vjp
def _product(x: Array, kernel: Array) -> Array:
    return jnp.matmul(x, kernel, preferred_element_type=jnp.float32)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _product(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    """By x and by the kernel.

    The product for the kernel reads one of its inputs by columns, and XLA on CPUs then computes the activations of an
    MLP by columns. JAX would choose g; the narrower input costs less (a quarter of Gemma 3's backward pass).
    """
    x, kernel = saved
    g = g.astype(x.dtype)
    by_x = jnp.matmul(g, kernel.T, preferred_element_type=jnp.float32).astype(x.dtype)
    x, g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    over_rows = functools.partial(
        jax.lax.dot_general,
        dimension_numbers=(((0,), (0,)), ((), ())),
        preferred_element_type=jnp.float32,
    )
    by_kernel = over_rows(x, g) if x.shape[1] <= g.shape[1] else over_rows(g, x).T
    return by_x, by_kernel.astype(kernel.dtype)


_product.defvjp(_forward, _backward)
