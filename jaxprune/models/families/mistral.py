"""Mistral: Llama with one window for all layers."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import ACTIVATIONS
from jaxprune.models.reading import Heads, heads, window
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Mistral config.json."""
    d_model = hf.size("hidden_size", default=4096)
    sizes = heads(hf, d_model, Heads(32, 8, 0))
    hf.require("hidden_act", list(ACTIVATIONS))
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size", default=32000),
        d_model=d_model,
        n_layers=hf.size("num_hidden_layers", default=32),
        **sizes._asdict(),
        d_ff=hf.size("intermediate_size", default=14336),
        activation=hf.take("hidden_act", str, default="silu"),
        norm_eps=hf.take("rms_norm_eps", float, default=1e-6),
        tied_head=hf.take("tie_word_embeddings", bool, default=False),
        max_positions=hf.size("max_position_embeddings", default=4096 * 32),
        attention_scale=sizes.head_dim**-0.5,
        qkv_bias=False,
        out_bias=False,
        mlp_bias=False,
        kinds=(LayerKind(window(hf, 4096), parse_rope(hf)),),
    )


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    attributes = llama.to_hf(config)
    for biased in ("attention_bias", "mlp_bias"):
        del attributes[biased]
    return attributes | {"sliding_window": config.kinds[0].window}


FAMILY = dataclasses.replace(llama.FAMILY, model_types=("mistral",), parse=parse, to_hf=to_hf)
