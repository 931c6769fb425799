"""Gemma 2: four norms a block whose scales are stored less 1, scaled embeddings, capped scores, windows."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import SandwichBlock
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.family import Family
from jaxprune.models.layers import ACTIVATIONS, GatedMLP, OffsetRMSNorm, param
from jaxprune.models.positions import Positions
from jaxprune.models.reading import (
    FULL,
    SLIDING,
    Heads,
    heads,
    kinds,
    layer_types,
    layer_types_of,
    sliding,
)
from jaxprune.models.rope import parse_rope, rope_parameters


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Gemma 2 config.json."""
    layers = hf.size("num_hidden_layers", default=26)
    rotated = LayerKind(rope=parse_rope(hf))
    types = layer_types(hf, layers) or [SLIDING, FULL][:layers]
    by_layer = sliding(hf, types, rotated, rotated, default=4096)
    sizes: dict[str, Any] = sizes_of(hf, max_positions=8192) | kinds(by_layer)
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size", default=256000),
        attention_softcap=softcap(hf, "attn_logit_softcapping", 50.0),
        logit_softcap=softcap(hf, "final_logit_softcapping", 30.0),
        **sizes,
    )


def sizes_of(hf: Attributes, *, max_positions: int) -> dict[str, Any]:
    """The fields of a config that Gemma 2 and 3 read alike."""
    d_model = hf.size("hidden_size", default=2304)
    sizes = heads(hf, d_model, Heads(8, 4, 256))
    hf.require("hidden_activation", list(ACTIVATIONS))
    hf.require("use_bidirectional_attention", [False])
    bias = hf.take("attention_bias", bool, default=False)
    return {
        "d_model": d_model,
        "n_layers": hf.size("num_hidden_layers", default=26),
        **sizes._asdict(),
        "d_ff": hf.size("intermediate_size", default=9216),
        "activation": hf.take("hidden_activation", str, default="gelu_pytorch_tanh"),
        "norm_eps": hf.take("rms_norm_eps", float, default=1e-6),
        "tied_head": hf.take("tie_word_embeddings", bool, default=True),
        "max_positions": hf.size("max_position_embeddings", default=max_positions),
        "embed_scale": d_model**0.5,
        "embed_scale_rounded": True,
        "attention_scale": hf.take("query_pre_attn_scalar", float, default=256) ** -0.5,
        "qkv_bias": bias,
        "out_bias": bias,
        "mlp_bias": False,
    }


def softcap(hf: Attributes, name: str, default: float | None) -> float | None:
    """A limit of scores or logits; null is none."""
    return None if hf.is_null(name) else hf.take(name, float, default=default)


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    return shared_to_hf(config) | {
        "architectures": ["Gemma2ForCausalLM"],
        "rope_parameters": rope_parameters(config.rope),
        "attn_logit_softcapping": config.attention_softcap,
    }


def shared_to_hf(config: ModelConfig) -> dict[str, Any]:
    """The attributes that Gemma 2 and 3 have alike."""
    attributes = llama.to_hf(config)
    for other in ("hidden_act", "mlp_bias"):
        del attributes[other]
    return attributes | {
        "hidden_activation": config.activation,
        "query_pre_attn_scalar": config.attention_scale**-2,
        **layer_types_of(config),
        "final_logit_softcapping": config.logit_softcap,
    }


class Embed(nnx.Module):
    """Token embeddings · √D; positions come in by rotation."""

    def __init__(self, config: ModelConfig, rngs: nnx.Rngs) -> None:
        self.tokens = param(rngs, (config.vocab_size, config.d_model), 0.02)
        self.scale = config.embed_scale

    def __call__(
        self, tokens: Int[Array, "B T"], positions: Positions | None = None
    ) -> Float[Array, "B T D"]:
        return self.tokens[...][tokens].astype(jnp.float32) * self.scale


def sandwich_block(family: Family, config: ModelConfig, rngs: nnx.Rngs) -> SandwichBlock:
    """A block whose four norms are the family's."""

    def norm() -> Any:
        return family.norm(config.d_model, config.norm_eps, rngs)

    return SandwichBlock(
        attention_norm=norm(),
        attention=family.attention(config, rngs),
        attention_post_norm=norm(),
        mlp_norm=norm(),
        mlp=family.mlp(config, rngs),
        mlp_post_norm=norm(),
    )


TENSORS = llama.TENSORS | {
    "blocks/attention_post_norm/scale": "layers.{i}.post_attention_layernorm.weight",
    "blocks/mlp_norm/scale": "layers.{i}.pre_feedforward_layernorm.weight",
    "blocks/mlp_post_norm/scale": "layers.{i}.post_feedforward_layernorm.weight",
}

FAMILY = Family(
    model_types=("gemma2",),
    parse=parse,
    to_hf=to_hf,
    embed=Embed,
    norm=OffsetRMSNorm,
    attention=llama.SelfAttention,
    mlp=GatedMLP,
    tensors=TENSORS,
    sites=llama.FAMILY.sites,
    prefix="model.",
    ignored=llama.FAMILY.ignored,
    build_block=sandwich_block,
)
