"""Llama, Qwen2 and Qwen3: RMS norms, rotary positions, grouped KV heads, a gated MLP."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention, Norm, project_heads
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.family import Family
from jaxprune.models.layers import (
    ACTIVATIONS,
    GatedMLP,
    Linear,
    RMSNorm,
    param,
    rotate,
)
from jaxprune.models.positions import Kind, Positions
from jaxprune.models.rope import parse_rope, rope_parameters


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Llama, Qwen2 or Qwen3 config.json."""
    d_model, heads = hf.size("hidden_size"), hf.size("num_attention_heads")
    kv_heads = hf.size("num_key_value_heads", default=heads)
    if heads % kv_heads:
        raise hf.refuse(
            f"num_attention_heads {heads} is no multiple of num_key_value_heads {kv_heads}"
        )
    head_dim = hf.size("head_dim", default=128 if model_type == "qwen3" else d_model // heads)
    if head_dim % 2:
        raise hf.refuse(f"head_dim {head_dim} is odd; rotary positions turn pairs of coordinates")
    hf.require("hidden_act", list(ACTIVATIONS))
    hf.require("use_sliding_window", [False])
    hf.require("use_mrope", [False])  # Qwen2.5's config.json has it
    hf.require("rope_interleaved", [False])  # SmolLM2's has it
    layers = hf.size("num_hidden_layers")
    # As long a list as the file has: its length alone must not be what a number claims.
    kinds = hf.take("layer_types", list, default=None)
    if kinds is not None:
        hf.require("layer_types", [["full_attention"] * min(layers, len(kinds) + 1)])
    for unused in (
        "sliding_window",
        "max_window_layers",
    ):  # without effect unless use_sliding_window
        hf.take(unused, int, default=None)
    attention_bias = hf.take("attention_bias", bool, default=False)
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size"),
        d_model=d_model,
        n_layers=layers,
        n_heads=heads,
        n_kv_heads=kv_heads,
        head_dim=head_dim,
        d_ff=hf.size("intermediate_size"),
        activation=hf.take("hidden_act", str, default="silu"),
        norm_eps=hf.take("rms_norm_eps", float, default=1e-6),
        tied_head=hf.take("tie_word_embeddings", bool, default=False),
        max_positions=hf.size("max_position_embeddings", default=2048),
        attention_scale=head_dim**-0.5,
        qkv_bias=True if model_type == "qwen2" else attention_bias,
        out_bias=False if model_type == "qwen2" else attention_bias,
        mlp_bias=hf.take("mlp_bias", bool, default=False),
        qk_norm=model_type == "qwen3",
        kinds=(LayerKind(rope=parse_rope(hf)),),
    )


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    return {
        "architectures": [f"{config.family.capitalize()}ForCausalLM"],
        "model_type": config.family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.d_ff,
        "hidden_act": config.activation,
        "rms_norm_eps": config.norm_eps,
        "max_position_embeddings": config.max_positions,
        "rope_parameters": rope_parameters(config.rope),
        "attention_bias": config.out_bias,
        "mlp_bias": config.mlp_bias,
        "tie_word_embeddings": config.tied_head,
    }


class Embed(nnx.Module):
    """Token embeddings; positions come in by rotation."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        return self.tokens[...][tokens].astype(jnp.float32)


class SelfAttention(Attention):
    """Grouped KV heads with rotary positions; Qwen3 normalises queries and keys head by head."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.config = config
        D, H = config.d_model, config.head_dim
        self.query = Linear(D, config.n_heads * H, config.qkv_bias, rngs)
        self.key = Linear(D, config.n_kv_heads * H, config.qkv_bias, rngs)
        self.value = Linear(D, config.n_kv_heads * H, config.qkv_bias, rngs)
        self.out = Linear(config.n_heads * H, D, config.out_bias, rngs)
        if config.qk_norm:
            self.query_norm = self.head_norm(config.n_heads, rngs)
            self.key_norm = self.head_norm(config.n_kv_heads, rngs)

    def head_norm(self, heads: int, rngs: nnx.Rngs) -> Norm:
        """The norm of queries or keys, head by head."""
        del heads
        return RMSNorm(self.config.head_dim, self.config.norm_eps, rngs)

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Queries and keys are turned by their positions."""
        config = self.config
        q, k, v = (project_heads(w, x, config.head_dim) for w in (self.query, self.key, self.value))
        if config.qk_norm:
            q, k = self.query_norm(q), self.key_norm(k)
        ropes = [one.rope for one in config.kinds]
        return rotate(q, ropes, positions, kind), rotate(k, ropes, positions, kind), v


TENSORS = {
    "embed/tokens": "embed_tokens.weight",
    "head/norm/scale": "norm.weight",
    "blocks/attention_norm/scale": "layers.{i}.input_layernorm.weight",
    "blocks/attention/query/kernel": "layers.{i}.self_attn.q_proj.weight",
    "blocks/attention/query/bias": "layers.{i}.self_attn.q_proj.bias",
    "blocks/attention/key/kernel": "layers.{i}.self_attn.k_proj.weight",
    "blocks/attention/key/bias": "layers.{i}.self_attn.k_proj.bias",
    "blocks/attention/value/kernel": "layers.{i}.self_attn.v_proj.weight",
    "blocks/attention/value/bias": "layers.{i}.self_attn.v_proj.bias",
    "blocks/attention/out/kernel": "layers.{i}.self_attn.o_proj.weight",
    "blocks/attention/out/bias": "layers.{i}.self_attn.o_proj.bias",
    "blocks/attention/query_norm/scale": "layers.{i}.self_attn.q_norm.weight",
    "blocks/attention/key_norm/scale": "layers.{i}.self_attn.k_norm.weight",
    "blocks/mlp_norm/scale": "layers.{i}.post_attention_layernorm.weight",
    "blocks/mlp/gate/kernel": "layers.{i}.mlp.gate_proj.weight",
    "blocks/mlp/gate/bias": "layers.{i}.mlp.gate_proj.bias",
    "blocks/mlp/up/kernel": "layers.{i}.mlp.up_proj.weight",
    "blocks/mlp/up/bias": "layers.{i}.mlp.up_proj.bias",
    "blocks/mlp/out/kernel": "layers.{i}.mlp.down_proj.weight",
    "blocks/mlp/out/bias": "layers.{i}.mlp.down_proj.bias",
}

FAMILY = Family(
    model_types=("llama", "qwen2", "qwen3"),
    parse=parse,
    to_hf=to_hf,
    embed=Embed,
    norm=RMSNorm,
    attention=SelfAttention,
    mlp=GatedMLP,
    tensors=TENSORS,
    sites={
        "attention/query/kernel": "qkv",
        "attention/key/kernel": "qkv",
        "attention/value/kernel": "qkv",
        "attention/out/kernel": "attention_out",
        "mlp/gate/kernel": "mlp_in",
        "mlp/up/kernel": "mlp_in",
        "mlp/out/kernel": "mlp_out",
    },
    prefix="model.",
    ignored=(r"layers\.\d+\.self_attn\.rotary_emb\.inv_freq",),
)
