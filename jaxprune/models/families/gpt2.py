"""GPT-2 (mGPT and the like): learned positions, fused QKV in three parts, kernels stored [in, out]."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Attention
from jaxprune.models.config import ModelConfig
from jaxprune.models.family import Family
from jaxprune.models.layers import ACTIVATIONS, MLP, LayerNorm, Linear, param
from jaxprune.models.positions import Kind, Positions

DEFAULTS = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "tie_word_embeddings": True,
}


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a GPT-2 config.json."""
    d_model, heads = hf.size("n_embd", "hidden_size"), hf.size("n_head", "num_attention_heads")
    if d_model % heads:
        raise hf.refuse(f"n_embd {d_model} is not a multiple of n_head {heads}")
    hf.require("add_cross_attention", [False])
    # a scale that differs from layer to layer would break "one block, compiled once"
    hf.require("scale_attn_by_inverse_layer_idx", [False])
    hf.require("reorder_and_upcast_attn", [False, True])  # a question of float16 only
    hf.require("activation_function", list(ACTIVATIONS))
    scaled = hf.take("scale_attn_weights", bool)
    return ModelConfig(
        family="gpt2",
        vocab_size=hf.size("vocab_size"),
        d_model=d_model,
        n_layers=hf.size("n_layer", "num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=heads,
        head_dim=d_model // heads,
        d_ff=hf.size("n_inner", default=4 * d_model),
        activation=hf.take("activation_function", str),
        norm_eps=hf.take("layer_norm_epsilon", float),
        tied_head=hf.take("tie_word_embeddings", bool),
        max_positions=hf.size("n_positions", "max_position_embeddings"),
        attention_scale=(d_model // heads) ** -0.5 if scaled else 1.0,
    )


class Embed(nnx.Module):
    """Token plus learned position embeddings."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)
        self.positions = param(rngs, (config.max_positions or 0, config.d_model), 0.02)

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        places = slice(tokens.shape[1]) if positions is None else positions.index
        embedded = self.positions[...][places].astype(jnp.float32)
        return self.tokens[...][tokens].astype(jnp.float32) + embedded


class SelfAttention(Attention):
    """One fused kernel whose outputs are (query | key | value, head, head_dim)."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.qkv = Linear(config.d_model, 3 * config.d_model, True, rngs)
        self.out = Linear(config.d_model, config.d_model, True, rngs)
        self.config = config

    def heads(
        self, x: Float[Array, "B T D"], positions: Positions | None = None, kind: Kind = None
    ) -> tuple[Array, Array, Array]:
        """Positions come in by the embedding, not here."""
        heads = (*x.shape[:2], self.config.n_heads, self.config.head_dim)
        q, k, v = (part.reshape(heads) for part in jnp.split(self.qkv(x), 3, axis=-1))
        return q, k, v


TENSORS = {
    "embed/tokens": "wte.weight",
    "embed/positions": "wpe.weight",
    "head/norm/scale": "ln_f.weight",
    "head/norm/bias": "ln_f.bias",
    "blocks/attention_norm/scale": "h.{i}.ln_1.weight",
    "blocks/attention_norm/bias": "h.{i}.ln_1.bias",
    "blocks/attention/qkv/kernel": "h.{i}.attn.c_attn.weight",
    "blocks/attention/qkv/bias": "h.{i}.attn.c_attn.bias",
    "blocks/attention/out/kernel": "h.{i}.attn.c_proj.weight",
    "blocks/attention/out/bias": "h.{i}.attn.c_proj.bias",
    "blocks/mlp_norm/scale": "h.{i}.ln_2.weight",
    "blocks/mlp_norm/bias": "h.{i}.ln_2.bias",
    "blocks/mlp/up/kernel": "h.{i}.mlp.c_fc.weight",
    "blocks/mlp/up/bias": "h.{i}.mlp.c_fc.bias",
    "blocks/mlp/out/kernel": "h.{i}.mlp.c_proj.weight",
    "blocks/mlp/out/bias": "h.{i}.mlp.c_proj.bias",
}

FAMILY = Family(
    model_types=("gpt2",),
    parse=parse,
    defaults={"gpt2": DEFAULTS},
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
    ignored=(r"h\.\d+\.attn\.(bias|masked_bias)",),
    transposed=False,
)
