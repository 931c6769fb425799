"""SmolLM3: Llama in which some layers have no rotary positions."""

import dataclasses
from typing import Any

from jaxprune.base.errors import shown
from jaxprune.models.attention_config import all_but_every, parse_layer_types, with_windows
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig
from jaxprune.models.families import llama
from jaxprune.models.rope import parse_rope


def parse(model_type: str, hf: Attributes) -> ModelConfig:
    """Attributes of a SmolLM3 config.json."""
    sizes = llama.parse_common(hf)
    return ModelConfig(family=model_type, **_kinds(hf, sizes["n_layers"]), **sizes)


def _kinds(hf: Attributes, layers: int) -> dict[str, Any]:
    """Rotary positions by `no_rope_layers` (1: rotated), by default in all but each `no_rope_layer_interval`-th layer.

    Windows by `layer_types`. If absent, `use_sliding_window` gives a window to layers without rotary positions.
    """
    rope = parse_rope(hf, theta=2e6)
    window = hf.size("sliding_window", default=None)
    is_used = hf.take("use_sliding_window", bool) and window is not None
    rotated = hf.take("no_rope_layers", list, default=None)
    pattern = all_but_every(hf, layers, "no_rope_layer_interval")
    if rotated is None:
        rotated = pattern
    elif len(rotated) < layers or any(flag not in (0, 1) for flag in rotated):
        raise hf.refuse(
            f"no_rope_layers={shown(rotated)} is not supported, only 0 or 1 for each of {layers} layers"
        )
    slides = parse_layer_types(hf, layers)
    if slides is None:
        slides = tuple(is_used and not flag for flag in rotated[:layers])
    ropes = [rope if rotated[layer % len(rotated)] else None for layer in range(len(slides))]
    return with_windows(hf, slides, window, [LayerKind(rope=layer_rope) for layer_rope in ropes])


FAMILY = dataclasses.replace(llama.FAMILY, model_types=("smollm3",), parse=parse)
