"""The language model head that all families share."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.config import ModelConfig
from jaxprune.models.layers import LayerNorm, RMSNorm, param


class Head(nnx.Module):
    """Final norm, then logits by the head's own kernel [D, V] or by the embedding [V, D] where they are tied."""

    def __init__(self, config: ModelConfig, norm: LayerNorm | RMSNorm, rngs: nnx.Rngs) -> None:
        self.norm = norm
        if not config.tied_head:
            self.kernel = param(rngs, (config.d_model, config.vocab_size), 0.02)

    def __call__(
        self, x: Float[Array, "... D"], embedding: Float[Array, "V D"]
    ) -> Float[Array, "... V"]:
        """Logits, float32."""
        kernel = self.kernel[...] if hasattr(self, "kernel") else embedding.T
        return jnp.matmul(
            self.norm(x).astype(kernel.dtype), kernel, preferred_element_type=jnp.float32
        )
