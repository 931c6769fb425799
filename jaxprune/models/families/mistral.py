"""Mistral: Llama with one window for all layers."""

import dataclasses

from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
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
    window = hf.size("sliding_window", default=None)
    return ModelConfig(
        family=model_type,
        kinds=(LayerKind(window, parse_rope(hf)),),
        **llama.parse_common(hf),
    )


FAMILY = dataclasses.replace(
    llama.FAMILY,
    model_types=("mistral",),
    parse=parse,
    defaults={"mistral": DEFAULTS},
)
