"""BLOOM (BigScience, 2022): ALiBi, a norm after the embedding, fused QKV laid out head by head, tanh GELU."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention, project_heads
from jaxprune.models.config import ModelConfig
from jaxprune.models.family import Family
from jaxprune.models.layers import MLP, LayerNorm, Linear, alibi_slopes, param
from jaxprune.models.positions import Kind, Positions

DEFAULTS = {
    "vocab_size": 250880,
    "hidden_size": 64,
    "n_layer": 2,
    "n_head": 8,
    "layer_norm_epsilon": 1e-5,
    "pretraining_tp": 1,
    "apply_residual_connection_post_layernorm": False,
    "tie_word_embeddings": True,
}


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a BLOOM config.json."""
    d_model, heads = hf.size("hidden_size", "n_embed"), hf.size("n_head", "num_attention_heads")
    if d_model % heads:
        raise hf.refuse(f"hidden_size {d_model} is not a multiple of n_head {heads}")
    slices = hf.take("pretraining_tp", int, default=1)
    # The sum over slices of a product leaves out its bias.
    hf.require("slow_but_exact", [False] if slices > 1 else [False, True])
    return ModelConfig(
        family="bloom",
        vocab_size=hf.size("vocab_size"),
        d_model=d_model,
        n_layers=hf.size("n_layer", "num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=d_model // heads,
        d_ff=4 * d_model,
        activation="gelu_new",
        norm_eps=hf.take("layer_norm_epsilon", float),
        tied_head=hf.take("tie_word_embeddings", bool),
        attention_scale=(d_model // heads) ** -0.5,
        residual_from_norm=hf.take("apply_residual_connection_post_layernorm", bool),
    )


class Embed(nnx.Module):
    """Token embeddings, then a layer norm; positions come in by ALiBi."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)
        self.norm = LayerNorm(config.d_model, config.norm_eps, rngs)

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        return self.norm(self.tokens[...][tokens].astype(jnp.float32))


class SelfAttention(Attention):
    """One fused kernel whose outputs are (head, query | key | value, head_dim)."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.qkv = Linear(config.d_model, 3 * config.d_model, True, rngs)
        self.out = Linear(config.d_model, config.d_model, True, rngs)
        self.config = config

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Positions come in by ALiBi, not here."""
        fused = project_heads(self.qkv, x, 3 * self.config.head_dim)  # [B, T, N, 3H]
        q, k, v = jnp.split(fused, 3, axis=-1)
        return q, k, v

    @property
    def slopes(self) -> np.ndarray:
        """ALiBi's slope of each head [N]."""
        return alibi_slopes(self.config.n_heads)


TENSORS = {
    "embed/tokens": "word_embeddings.weight",
    "embed/norm/scale": "word_embeddings_layernorm.weight",
    "embed/norm/bias": "word_embeddings_layernorm.bias",
    "head/norm/scale": "ln_f.weight",
    "head/norm/bias": "ln_f.bias",
    "blocks/attention_norm/scale": "h.{i}.input_layernorm.weight",
    "blocks/attention_norm/bias": "h.{i}.input_layernorm.bias",
    "blocks/attention/qkv/kernel": "h.{i}.self_attention.query_key_value.weight",
    "blocks/attention/qkv/bias": "h.{i}.self_attention.query_key_value.bias",
    "blocks/attention/out/kernel": "h.{i}.self_attention.dense.weight",
    "blocks/attention/out/bias": "h.{i}.self_attention.dense.bias",
    "blocks/mlp_norm/scale": "h.{i}.post_attention_layernorm.weight",
    "blocks/mlp_norm/bias": "h.{i}.post_attention_layernorm.bias",
    "blocks/mlp/up/kernel": "h.{i}.mlp.dense_h_to_4h.weight",
    "blocks/mlp/up/bias": "h.{i}.mlp.dense_h_to_4h.bias",
    "blocks/mlp/out/kernel": "h.{i}.mlp.dense_4h_to_h.weight",
    "blocks/mlp/out/bias": "h.{i}.mlp.dense_4h_to_h.bias",
}

FAMILY = Family(
    model_types=("bloom",),
    parse=parse,
    defaults={"bloom": DEFAULTS},
    embed=Embed,
    norm=LayerNorm,
    attention=SelfAttention,
    mlp=MLP,
    tensors=TENSORS,
    sites={
        "attention/qkv/kernel": "qkv",
        "attention/out/kernel": "attention_out",
        "mlp/up/kernel": "mlp_in",
        "mlp/out/kernel": "mlp_out",
    },
    prefix="transformer.",
)
