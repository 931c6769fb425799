"""Mistral: Llama with one window for all layers."""

import dataclasses

from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a Mistral config.json."""
    window = hf.size("sliding_window", default=None)
    return ModelConfig(
        family=model_type, kinds=(LayerKind(window, parse_rope(hf)),), **llama.parse_common(hf)
    )


FAMILY = dataclasses.replace(llama.FAMILY, model_types=("mistral",), parse=parse)
