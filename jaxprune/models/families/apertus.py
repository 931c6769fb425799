"""Apertus (Swiss AI, 2025): Llama with normed queries and keys, and an ungated MLP with a learned activation."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import MLP, Linear
from jaxprune.models.rope import parse_rope

# the default of `rope_parameters`
ROPE: dict[str, Any] = {
    "rope_type": "llama3",
    "rope_theta": 12e6,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of an Apertus config.json."""
    return ModelConfig(
        family=model_type,
        qk_norm=True,
        kinds=(LayerKind(rope=parse_rope(hf, ROPE["rope_theta"], ROPE)),),
        **llama.parse_common(hf, activations=("xielu",)),
    )


# Parameters of XieluMLP that are in checkpoints, but are not learned.
NOT_LEARNED = ("beta", "eps")


class XieluMLP(MLP):
    """`out(xielu(up(x)))`; Huang and Schlag 2024, arXiv 2411.13010.

    With a⁺ = softplus(alpha_p) and a⁻ = beta + softplus(alpha_n), xielu(x) is a⁺x² + beta·x above 0, and
    a⁻(exp(min(x, eps)) - 1 - x) + beta·x elsewhere.
    """

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.up = Linear(config.d_model, config.d_ff, config.mlp_bias, rngs)
        self.out = Linear(config.d_ff, config.d_model, config.mlp_bias, rngs)
        self.alpha_p = nnx.Param(jnp.full(1, jnp.log(jnp.expm1(0.8))))
        self.alpha_n = nnx.Param(jnp.full(1, jnp.log(jnp.expm1(0.3))))
        self.beta = nnx.Param(jnp.asarray(0.5))
        self.eps = nnx.Param(jnp.asarray(-1e-6))

    def neurons(self, x: Float[Array, "B T D"]) -> Float[Array, "B T F"]:
        """The activations of the neurons, which are the input of `out`."""
        y = self.up(x)
        alpha_p, alpha_n, beta, eps = (
            parameter[...].astype(jnp.float32)
            for parameter in (self.alpha_p, self.alpha_n, self.beta, self.eps)
        )
        rising = jax.nn.softplus(alpha_p) * y * y
        falling = (jnp.expm1(jnp.minimum(y, eps)) - y) * (beta + jax.nn.softplus(alpha_n))
        return jnp.where(y > 0, rising, falling) + beta * y


TENSORS = {path: name for path, name in llama.TENSORS.items() if "/gate/" not in path} | {
    "blocks/attention_norm/scale": "layers.{i}.attention_layernorm.weight",
    "blocks/mlp_norm/scale": "layers.{i}.feedforward_layernorm.weight",
    **{
        f"blocks/mlp/{name}": f"layers.{{i}}.mlp.act_fn.{name}"
        for name in ("alpha_p", "alpha_n", "beta", "eps")
    },
}

FAMILY = dataclasses.replace(
    llama.FAMILY, model_types=("apertus",), parse=parse, mlp=XieluMLP, tensors=TENSORS
)
