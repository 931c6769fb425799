"""Blocks in the dtype of their products, with gradients that CPUs compute faster."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx
from jax.ad_checkpoint import checkpoint_name
from jaxtyping import Array, Float

from jaxprune.models.config import ModelConfig
from jaxprune.models.model import modules
from jaxprune.models.positions import Kind
from jaxprune.models.products import cast_for_matmul, product
from jaxprune.models.trees import BlockParams

# The name of products, for policies that store them for the gradient.
PRODUCT = "product"


def block_outputs(
    config: ModelConfig, dtype: str, masters: BlockParams, inputs: Float[Array, "b T D"], kind: Kind
) -> Float[Array, "b T D"]:
    """The outputs of a block whose parameters are cast to `dtype`; differentiable in reverse mode only."""
    graph, _ = modules(config).block
    params = jax.tree.map(lambda leaf: cast_for_matmul(leaf, dtype, config.rounded_inputs), masters)
    block = nnx.merge(graph, params)
    block.set_attributes(product=_named_product)
    return block(inputs, kind)


def _named_product(x: Array, kernel: Array) -> Array:
    return checkpoint_name(_product(x, kernel), PRODUCT)


_product = jax.custom_vjp(product)


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return product(x, kernel), (x, kernel)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    """The gradients by x and by the kernel.

    The product for the kernel reads one of its inputs by columns, and XLA on CPUs then computes the activations of an
    MLP by columns. JAX would choose g; the narrower input costs less (a quarter of Gemma 3's backward pass).
    """
    x, kernel = saved
    g = g.astype(x.dtype)
    by_x = product(g, kernel.T).astype(x.dtype)
    x, g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    over_rows = functools.partial(
        jax.lax.dot_general,
        dimension_numbers=(((0,), (0,)), ((), ())),
        preferred_element_type=jnp.float32,
    )
    by_kernel = over_rows(x, g) if x.shape[1] <= g.shape[1] else over_rows(g, x).T
    return by_x, by_kernel.astype(kernel.dtype)


_product.defvjp(_forward, _backward)
