"""What a config.json says of each layer's attention → which layers have a window."""

from __future__ import annotations

from typing import Any

from jaxprune.errors import shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig, RopeConfig

# Layers that are told apart, at most: a list of them must not become as long as a number claims.
MOST_LAYERS = 10_000
# The kinds of layers that there are, and the pattern of layers: as in ModelConfig.
Kinds = tuple[tuple[LayerKind, ...], tuple[int, ...]]
_LEGACY = {"attention": "full_attention"}


def parse_layer_types(hf: Attributes, layers: int) -> tuple[bool, ...] | None:
    """`layer_types`: whether each layer's attention has a window [L]; None where the config does not say."""
    names = hf.take("layer_types", list, default=None)
    if names is None:
        return None
    names = [_LEGACY.get(name, name) if isinstance(name, str) else name for name in names]
    if len(names) != layers or any(n not in ("full_attention", "sliding_attention") for n in names):
        raise hf.refuse(
            f"layer_types={shown(names)} is not supported, only full_attention or sliding_attention "
            f"for each of {layers} layers"
        )
    return tuple(name == "sliding_attention" for name in names)


def without_windows(hf: Attributes, layers: int, positions: int, rope: RopeConfig | None) -> Kinds:
    """All layers alike, of a model type whose code has no windows.

    Where its config names a window all the same, transformers' cache forgets keys that its attention would see.
    """
    if any(parse_layer_types(hf, layers) or ()):
        raise hf.refuse("layer_types has sliding_attention; expected full_attention in every layer")
    window = hf.take("sliding_window", int, default=None)
    if window is not None and window < positions:
        raise hf.refuse(
            f"sliding_window={shown(window)} is not supported, only max_position_embeddings ({positions}) or more"
        )
    return (LayerKind(rope=rope),), (0,)


def qwen_windows(hf: Attributes, layers: int, rope: RopeConfig) -> Kinds:
    """Qwen's: layers from `max_window_layers` on, or those that `layer_types` names, have a window.

    It is of `sliding_window` keys, and there only with `use_sliding_window`.
    """
    window = hf.take("sliding_window", int, default=None)
    first = hf.size("max_window_layers", least=0)
    if not hf.take("use_sliding_window", bool):
        window = None
    elif window is not None:
        window = hf.size("sliding_window")
    slides = parse_layer_types(hf, layers)
    if slides is None:
        if window is None or first >= layers:
            return (LayerKind(None, rope),), (0,)
        if first and layers > MOST_LAYERS:
            raise hf.refuse(
                f"num_hidden_layers is {layers}; with windows in some, at most {MOST_LAYERS:,}"
            )
        slides = tuple(layer >= first for layer in range(layers)) if first else (True,)
    if any(slides) and window is None:
        raise hf.refuse(
            "layer_types has sliding_attention, but there is no sliding_window that is used"
        )
    windows = [window if slide else None for slide in sorted(set(slides))]
    pattern = tuple(map(int, slides)) if len(windows) > 1 else (0,)
    return tuple(LayerKind(window, rope) for window in windows), pattern


def window_attributes(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `qwen_windows`: nothing where no layer has a window."""
    windows = [config.kind(layer).window for layer in range(config.n_layers)]
    if not any(windows):
        return {}
    return {
        "use_sliding_window": True,
        "sliding_window": max(filter(None, windows)),
        "layer_types": ["sliding_attention" if window else "full_attention" for window in windows],
    }
