"""Cohere's Command R and Aya: attention and MLP side by side behind one norm, neighbours turned in pairs.

Cohere 2 has windows in most layers, and turns queries and keys in these alone.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from flax import nnx

from jaxprune.models.attributes import Attributes
from jaxprune.models.block import Norm, ParallelBlock
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.family import Family
from jaxprune.models.layers import ACTIVATIONS, ScaleNorm
from jaxprune.models.reading import (
    FULL,
    SLIDING,
    Heads,
    every,
    heads,
    kinds,
    layer_types,
    layer_types_of,
    sliding,
)
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Cohere or Cohere 2 config.json."""
    d_model = hf.size("hidden_size", default=8192)
    sizes = heads(hf, d_model, Heads(64, 0, 0))
    hf.require("hidden_act", list(ACTIVATIONS))
    layers = hf.size("num_hidden_layers", default=40)
    bias = hf.take("attention_bias", bool, default=False)
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size", default=256000),
        d_model=d_model,
        n_layers=layers,
        **sizes._asdict(),
        d_ff=hf.size("intermediate_size", default=22528),
        activation=hf.take("hidden_act", str, default="silu"),
        norm_eps=hf.take("layer_norm_eps", float, default=1e-5),
        tied_head=hf.take("tie_word_embeddings", bool, default=True),
        max_positions=hf.size("max_position_embeddings", default=8192),
        attention_scale=sizes.head_dim**-0.5,
        qkv_bias=bias,
        out_bias=bias,
        mlp_bias=False,
        qk_norm=model_type == "cohere" and hf.take("use_qk_norm", bool, default=False),
        logit_scale=hf.take("logit_scale", float, default=0.0625),
        **kinds(_by_layer(model_type, hf, layers)),
    )


def _by_layer(model_type: str, hf: Attributes, layers: int) -> list[LayerKind]:
    theta = 500_000.0 if model_type == "cohere" else 10_000.0
    rotated = LayerKind(rope=dataclasses.replace(parse_rope(hf, theta), interleaved=True))
    if model_type == "cohere":
        return [rotated]
    interval = every(hf, "sliding_window_pattern", 4)
    types = layer_types(hf, layers)
    if types is None:
        types = [FULL if (i + 1) % interval == 0 else SLIDING for i in range(min(interval, layers))]
    return sliding(hf, types, rotated, LayerKind(), default=4096)


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    attributes = llama.to_hf(config)
    for other in ("rms_norm_eps", "mlp_bias"):
        del attributes[other]
    attributes |= {"layer_norm_eps": config.norm_eps, "logit_scale": config.logit_scale}
    if config.family == "cohere":
        return attributes | {"use_qk_norm": config.qk_norm}
    return attributes | layer_types_of(config)


class SelfAttention(llama.SelfAttention):
    """Each head's queries and keys may be normed with a scale of its own."""

    def head_norm(self, heads: int, rngs: nnx.Rngs) -> Norm:
        """The norm of queries or keys."""
        return ScaleNorm(self.config.head_dim, self.config.norm_eps, rngs, heads)


def parallel_block(family: Family, config: ModelConfig, rngs: nnx.Rngs) -> ParallelBlock:
    """One norm, then attention and MLP."""
    return ParallelBlock(
        norm=family.norm(config.d_model, config.norm_eps, rngs),
        attention=family.attention(config, rngs),
        mlp=family.mlp(config, rngs),
    )


FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("cohere", "cohere2"),
    parse=parse,
    to_hf=to_hf,
    norm=ScaleNorm,
    attention=SelfAttention,
    build_block=parallel_block,
)
