"""XGLM (Lin et al., 2022): sinusoidal positions with offset 2, embeddings scaled by √D, exact GELU."""

from __future__ import annotations

import math

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention, project_heads
from jaxprune.models.config import ModelConfig
from jaxprune.models.family import Family
from jaxprune.models.layers import ACTIVATIONS, MLP, LayerNorm, Linear, param, sinusoids
from jaxprune.models.positions import Kind, Positions, at_positions

POSITION_OFFSET = 2
NORM_EPS = 1e-5  # torch's default: XGLM has no attribute for it


DEFAULTS = {
    "vocab_size": 256008,
    "max_position_embeddings": 2048,
    "d_model": 1024,
    "ffn_dim": 4096,
    "num_layers": 24,
    "attention_heads": 16,
    "activation_function": "gelu",
    "scale_embedding": True,
    "pad_token_id": 1,
    "tie_word_embeddings": True,
}


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of an XGLM config.json."""
    d_model, heads = (
        hf.size("d_model", "hidden_size"),
        hf.size("attention_heads", "num_attention_heads"),
    )
    if d_model % heads:
        raise hf.refuse(f"d_model {d_model} is not a multiple of attention_heads {heads}")
    hf.require("add_cross_attention", [False])
    hf.require("activation_function", list(ACTIVATIONS))
    return ModelConfig(
        family="xglm",
        vocab_size=hf.size("vocab_size"),
        d_model=d_model,
        n_layers=hf.size("num_layers", "num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=d_model // heads,
        d_ff=hf.size("ffn_dim"),
        activation=hf.take("activation_function", str),
        norm_eps=NORM_EPS,
        tied_head=hf.take("tie_word_embeddings", bool),
        max_positions=hf.size("max_position_embeddings"),
        embed_scale=math.sqrt(d_model) if hf.take("scale_embedding", bool) else 1.0,
        position_zero_row=hf.size("pad_token_id", default=None, least=0),
        attention_scale=(d_model // heads) ** -0.5,
    )


class Embed(nnx.Module):
    """Token embeddings · √D + sinusoids."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)
        self.config = config

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        config = self.config
        count = tokens.shape[1] if positions is None else positions.limit
        table = sinusoids(count + POSITION_OFFSET, config.d_model, config.position_zero_row)
        x = self.tokens[...][tokens].astype(jnp.float32) * config.embed_scale
        return x + at_positions(table[POSITION_OFFSET:], positions)


class SelfAttention(Attention):
    """Separate query, key and value kernels, all with biases."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        D = config.d_model
        self.query, self.key, self.value, self.out = (Linear(D, D, True, rngs) for _ in range(4))
        self.config = config

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Positions come in by the embedding, not here."""
        q, k, v = (
            project_heads(w, x, self.config.head_dim) for w in (self.query, self.key, self.value)
        )
        return q, k, v


TENSORS = {
    "embed/tokens": "embed_tokens.weight",
    "head/norm/scale": "layer_norm.weight",
    "head/norm/bias": "layer_norm.bias",
    "blocks/attention_norm/scale": "layers.{i}.self_attn_layer_norm.weight",
    "blocks/attention_norm/bias": "layers.{i}.self_attn_layer_norm.bias",
    "blocks/attention/query/kernel": "layers.{i}.self_attn.q_proj.weight",
    "blocks/attention/query/bias": "layers.{i}.self_attn.q_proj.bias",
    "blocks/attention/key/kernel": "layers.{i}.self_attn.k_proj.weight",
    "blocks/attention/key/bias": "layers.{i}.self_attn.k_proj.bias",
    "blocks/attention/value/kernel": "layers.{i}.self_attn.v_proj.weight",
    "blocks/attention/value/bias": "layers.{i}.self_attn.v_proj.bias",
    "blocks/attention/out/kernel": "layers.{i}.self_attn.out_proj.weight",
    "blocks/attention/out/bias": "layers.{i}.self_attn.out_proj.bias",
    "blocks/mlp_norm/scale": "layers.{i}.final_layer_norm.weight",
    "blocks/mlp_norm/bias": "layers.{i}.final_layer_norm.bias",
    "blocks/mlp/up/kernel": "layers.{i}.fc1.weight",
    "blocks/mlp/up/bias": "layers.{i}.fc1.bias",
    "blocks/mlp/out/kernel": "layers.{i}.fc2.weight",
    "blocks/mlp/out/bias": "layers.{i}.fc2.bias",
}

FAMILY = Family(
    model_types=("xglm",),
    parse=parse,
    defaults={"xglm": DEFAULTS},
    embed=Embed,
    norm=LayerNorm,
    attention=SelfAttention,
    mlp=MLP,
    tensors=TENSORS,
    sites={
        "attention/query/kernel": "qkv",
        "attention/key/kernel": "qkv",
        "attention/value/kernel": "qkv",
        "attention/out/kernel": "attention_out",
        "mlp/up/kernel": "mlp_in",
        "mlp/out/kernel": "mlp_out",
    },
    prefix="model.",
    ignored=(r"embed_positions\.weights",),
)
