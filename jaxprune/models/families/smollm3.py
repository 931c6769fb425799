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
    turned = hf.take("no_rope_layers", list, default=None)
    pattern = all_but_every(hf, layers, "no_rope_layer_interval")
    if turned is None:
        turned = pattern
    elif len(turned) < layers or any(one not in (0, 1) for one in turned):
        raise hf.refuse(
            f"no_rope_layers={shown(turned)} is not supported, only 0 or 1 for each of {layers} layers"
        )
    slides = parse_layer_types(hf, layers)
    if slides is None:
        slides = tuple(is_used and not one for one in turned[:layers])
    ropes = [rope if turned[layer % len(turned)] else None for layer in range(len(slides))]
    return with_windows(hf, slides, window, [LayerKind(rope=one) for one in ropes])


FAMILY = dataclasses.replace(llama.FAMILY, model_types=("smollm3",), parse=parse)
