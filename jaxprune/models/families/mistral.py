"""Mistral: Llama with one window for all layers."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxprune.models.attention_config import parse_heads
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import ACTIVATIONS
from jaxprune.models.rope import parse_rope

DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "hidden_act": "silu",
    "max_position_embeddings": 4096 * 32,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "sliding_window": 4096,
}


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Mistral config.json."""
    d_model = hf.size("hidden_size")
    heads = parse_heads(hf, d_model)
    hf.require("hidden_act", list(ACTIVATIONS))
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size"),
        d_model=d_model,
        n_layers=hf.size("num_hidden_layers"),
        **heads._asdict(),
        d_ff=hf.size("intermediate_size"),
        activation=hf.take("hidden_act", str),
        norm_eps=hf.take("rms_norm_eps", float),
        tied_head=hf.take("tie_word_embeddings", bool),
        max_positions=hf.size("max_position_embeddings"),
        attention_scale=heads.head_dim**-0.5,
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        kinds=(LayerKind(hf.size("sliding_window", default=None), parse_rope(hf)),),
    )


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    attributes = llama.common_to_hf(config)
    for biased in ("attention_bias", "mlp_bias"):
        del attributes[biased]
    return attributes | {"sliding_window": config.kinds[0].window}


FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("mistral",),
    parse=parse,
    to_hf=to_hf,
    defaults={"mistral": DEFAULTS},
)
