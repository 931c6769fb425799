"""The language model head that all families share."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.attention.scoring import capped
from jaxprune.models.block import Norm
from jaxprune.models.config import ModelConfig
from jaxprune.models.layers import param
from jaxprune.models.products import cast_for_matmul


class Head(nnx.Module):
    """Final norm, then logits by the head's kernel [D, V] or, if tied, by the embedding [V, D]."""

    def __init__(self, config: ModelConfig, norm: Norm, rngs: nnx.Rngs) -> None:
        self.norm = norm
        self.config = config
        if not config.tied_head:
            self.kernel = param(rngs, (config.d_model, config.vocab_size), 0.02)

    def __call__(
        self, x: Float[Array, "... D"], embedding: Float[Array, "V D"]
    ) -> Float[Array, "... V"]:
        """Logits, float32."""
        kernel = embedding.T if self.config.tied_head else self.kernel[...]
        h = cast_for_matmul(self.norm(x), kernel.dtype, self.config.rounded_inputs)
        products = jnp.matmul(h, kernel, preferred_element_type=jnp.float32)
        return logits_of(self.config, products)


def logits_of(config: ModelConfig, products: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logits from products of normed states with rows of the head's table: scaled and capped."""
    scale, limit = config.logit_scale, config.logit_softcap
    return capped(products if scale == 1.0 else products * scale, limit)
