"""Gemma 3: Gemma 2 with normed queries and keys, and rotary positions by kind of layer.

Only the text part of multimodal models (`gemma3`) is read.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import nnx

from jaxprune.models.attention_config import sliding_kinds, sliding_pattern
from jaxprune.models.attributes import DEFAULTS, Attributes
from jaxprune.models.block import Norm
from jaxprune.models.config import LayerKind, ModelConfig, RopeConfig
from jaxprune.models.families import gemma2, llama
from jaxprune.models.layers import OffsetRMSNorm
from jaxprune.models.rope import parse_rope

# The types of layers in `rope_parameters`.
SLIDING, FULL = "sliding_attention", "full_attention"


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Gemma 3 config.json, or of its `text_config`."""
    if model_type == "gemma3":
        return _parse_nested(hf)
    local, full = (LayerKind(rope=rope) for rope in _ropes(hf))
    slides = sliding_pattern(hf, hf.size("num_hidden_layers"), default=6)
    hf.require("attn_logit_softcapping", [])  # transformers knows it and ignores it
    kinds = sliding_kinds(hf, slides, local, full)
    return ModelConfig(family="gemma3_text", qk_norm=True, **gemma2.parse_common(hf, kinds))


def _parse_nested(hf: Attributes) -> ModelConfig:
    """The text part of a multimodal model; attributes of images are ignored."""
    for images in ("vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index",
                   "image_token_index", "image_token_id", "boi_token_id", "eoi_token_id"):  # fmt: skip
        hf.take(images, object, default=None)
    tied = {"tie_word_embeddings": hf.take("tie_word_embeddings", bool, default=True)}
    raw = hf.take("text_config", dict, default={})
    text = hf.part("text_config", raw | tied, DEFAULTS["gemma3_text"])
    text.require("model_type", ["gemma3_text"])
    text.require("final_logit_softcapping", [])  # ignored by transformers' multimodal class
    config = parse("gemma3_text", text)
    text.finish()
    return config


def _ropes(hf: Attributes) -> tuple[RopeConfig, RopeConfig]:
    """Rotary positions of layers with a window and without.

    transformers 5 has `rope_parameters` by type of layer. Earlier releases had `rope_local_base_freq` for layers
    with a window, `rope_theta` and `rope_scaling` for the others.
    """
    by_type = hf.take("rope_parameters", dict, default={})
    table = hf.part("rope_parameters", by_type)
    local, full = (table.take(kind, dict, default={}) for kind in (SLIDING, FULL))
    table.finish()
    scaling = hf.take("rope_scaling", dict, default={})
    if any(full.get(name, value) != value for name, value in scaling.items()):
        raise hf.refuse(
            f"rope_scaling and {FULL} of rope_parameters disagree; expected one of them"
        )
    if not by_type:  # in this case transformers ignores the older `type`
        full = {"rope_type": "default"}
    return (
        _rope(hf, SLIDING, local, "rope_local_base_freq", 1e4),
        _rope(hf, FULL, full | scaling, "rope_theta", 1e6),
    )


def _rope(
    hf: Attributes, kind: str, table: dict[str, Any], theta: str, default: float
) -> RopeConfig:
    """Rotary positions of one kind of layer; its base may be beside its table, as attribute `theta`."""
    beside = hf.take(theta, float, default=None)
    return parse_rope(hf.part(kind, {"rope_parameters": table, "rope_theta": beside}), default)


def text_alone(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json of an export, which has only the text part of a multimodal model."""
    if raw.get("model_type") != "gemma3":
        return dict(raw)
    tokens = ("bos_token_id", "eos_token_id", "pad_token_id", "torch_dtype", "dtype")
    return (
        {name: raw[name] for name in tokens if name in raw}
        | (raw.get("text_config") or {})
        | {"architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text"}
        | {"tie_word_embeddings": raw.get("tie_word_embeddings") in (None, True)}
    )


class SelfAttention(llama.SelfAttention):
    """Llama's attention; norms of queries and keys have scales stored minus 1."""

    def head_norm(self, heads: int, rngs: nnx.Rngs) -> Norm:
        """The norm of queries or keys, head by head."""
        del heads
        return OffsetRMSNorm(self.config.head_dim, self.config.norm_eps, rngs)


FAMILY = dataclasses.replace(
    gemma2.FAMILY,
    model_types=("gemma3", "gemma3_text"),
    parse=parse,
    attention=SelfAttention,
    other_prefixes=("language_model.model.", "model.language_model.", "language_model."),
    ignored=(*gemma2.FAMILY.ignored, r"vision_tower\..*", r"multi_modal_projector\..*"),
    exported=text_alone,
)
