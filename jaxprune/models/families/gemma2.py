"""Gemma 2: four norms a block with scales stored minus 1, scaled embeddings, capped scores, windows."""

import dataclasses
from typing import Any

from jaxprune.models.attention_config import parse_layer_types, sliding_kinds
from jaxprune.models.attributes import Attributes
from jaxprune.models.block import SandwichBlock
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.layers import OffsetRMSNorm
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Gemma 2 config.json."""
    rotated = LayerKind(rope=parse_rope(hf))
    layers = hf.size("num_hidden_layers")
    slides = parse_layer_types(hf, layers) or (True, False)[:layers]
    kinds = sliding_kinds(hf, slides, rotated, rotated)
    return ModelConfig(
        family=model_type,
        attention_softcap=parse_softcap(hf, "attn_logit_softcapping"),
        **parse_common(hf, kinds),
    )


def parse_common(hf: Attributes, kinds: dict[str, Any]) -> dict[str, Any]:
    """The fields that Gemma 2 and 3 share, and the fields of `kinds`."""
    hf.require("use_bidirectional_attention", [False])
    sizes = llama.parse_common(hf, activation="hidden_activation")
    return (
        sizes
        | kinds
        | {
            "embed_scale": sizes["d_model"] ** 0.5,
            "embed_scale_rounded": True,
            "attention_scale": hf.size("query_pre_attn_scalar") ** -0.5,
            "logit_softcap": parse_softcap(hf, "final_logit_softcapping"),
        }
    )


def parse_softcap(hf: Attributes, name: str) -> float | None:
    """A limit of scores or logits; null means no limit, regardless of the class's default."""
    return None if hf.is_null(name) else hf.take(name, float, default=None)


TENSORS = llama.TENSORS | {
    "blocks/attention_post_norm/scale": "layers.{i}.post_attention_layernorm.weight",
    "blocks/mlp_norm/scale": "layers.{i}.pre_feedforward_layernorm.weight",
    "blocks/mlp_post_norm/scale": "layers.{i}.post_feedforward_layernorm.weight",
}

FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("gemma2",),
    parse=parse,
    norm=OffsetRMSNorm,
    tensors=TENSORS,
    block_class=SandwichBlock,
)
