"""SmolLM3: Llama in which some layers do not turn queries and keys."""

from __future__ import annotations

import dataclasses
from typing import Any

from jaxprune.errors import shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import ACTIVATIONS
from jaxprune.models.reading import (
    FULL,
    SLIDING,
    Heads,
    every,
    heads,
    kinds,
    layer_types,
    layer_types_of,
    window,
)
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a SmolLM3 config.json."""
    d_model = hf.size("hidden_size", default=2048)
    sizes = heads(hf, d_model, Heads(16, 4, 0))
    hf.require("hidden_act", list(ACTIVATIONS))
    layers = hf.size("num_hidden_layers", default=36)
    attention_bias = hf.take("attention_bias", bool, default=False)
    return ModelConfig(
        family=model_type,
        vocab_size=hf.size("vocab_size", default=128256),
        d_model=d_model,
        n_layers=layers,
        **sizes._asdict(),
        d_ff=hf.size("intermediate_size", default=11008),
        activation=hf.take("hidden_act", str, default="silu"),
        norm_eps=hf.take("rms_norm_eps", float, default=1e-6),
        tied_head=hf.take("tie_word_embeddings", bool, default=True),
        max_positions=hf.size("max_position_embeddings", default=32768),
        attention_scale=sizes.head_dim**-0.5,
        qkv_bias=attention_bias,
        out_bias=attention_bias,
        mlp_bias=hf.take("mlp_bias", bool, default=False),
        **kinds(_by_layer(hf, layers)),
    )


def _by_layer(hf: Attributes, layers: int) -> list[LayerKind]:
    """`no_rope_layers` (1: turned), else each `no_rope_layer_interval`-th layer is not; windows by `layer_types`."""
    rope = parse_rope(hf, theta=2e6)
    interval = every(hf, "no_rope_layer_interval", 4)
    turned = hf.take("no_rope_layers", list, default=None)
    if turned is None:
        turned = [int((i + 1) % interval != 0) for i in range(interval)]
    elif len(turned) < layers:
        raise hf.refuse(f"no_rope_layers has {len(turned)} entries, num_hidden_layers is {layers}")
    else:
        turned = turned[:layers]
    if bad := [one for one in turned if one not in (0, 1)]:
        raise hf.refuse(f"no_rope_layers: got {shown(bad[0])}; allowed: 0, 1")
    types, width = layer_types(hf, layers), window(hf, None)
    if not hf.take("use_sliding_window", bool, default=False):
        width = None
    if types is None:
        types = [FULL if one else SLIDING for one in turned]
    elif len(turned) < layers:
        turned = [turned[i % len(turned)] for i in range(layers)]
    return [
        LayerKind(width if kind == SLIDING else None, rope if one else None)
        for one, kind in zip(turned, types, strict=True)
    ]


def to_hf(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `parse`."""
    by_layer = [config.kind(i) for i in range(config.n_layers)]
    types = layer_types_of(config)
    return llama.to_hf(config) | {
        "architectures": ["SmolLM3ForCausalLM"],
        "no_rope_layers": [int(kind.rope is not None) for kind in by_layer],
        "use_sliding_window": types["sliding_window"] is not None,
        **types,
    }


FAMILY = dataclasses.replace(llama.FAMILY, model_types=("smollm3",), parse=parse, to_hf=to_hf)
