"""Attributes of attention in a config.json → sizes of heads, and kinds of layers by window and rotary positions."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from jaxprune.base.errors import shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, RopeConfig

# Limit on the number of layers that are listed one by one, so that a config cannot claim a list of any length.
MOST_LAYERS = 10_000
_LEGACY = {"attention": "full_attention"}


def parse_grouped_heads(hf: Attributes, d_model: int) -> dict[str, Any]:
    """Heads of a model with rotary positions: `num_attention_heads`, `num_key_value_heads` and `head_dim`."""
    heads = hf.size("num_attention_heads")
    kv_heads = hf.size("num_key_value_heads", default=heads)
    if heads % kv_heads:
        raise hf.refuse(
            f"num_attention_heads {heads} is no multiple of num_key_value_heads {kv_heads}"
        )
    head_dim = hf.size("head_dim", default=d_model // heads)
    if head_dim % 2:
        raise hf.refuse(f"head_dim {head_dim} is odd; rotary positions turn pairs of coordinates")
    return _head_fields(heads, kv_heads, head_dim)


def parse_full_heads(hf: Attributes, width: Sequence[str], number: Sequence[str]) -> dict[str, Any]:
    """d_model and heads of a model without grouped heads, whose head size is d_model / heads.

    Args:
      width, number: spellings of the attributes for d_model and the number of heads.
    """
    d_model, heads = hf.size(*width), hf.size(*number)
    if d_model % heads:
        raise hf.refuse(f"{width[0]} {d_model} is not a multiple of {number[0]} {heads}")
    return {"d_model": d_model} | _head_fields(heads, heads, d_model // heads)


def _head_fields(heads: int, kv_heads: int, head_dim: int) -> dict[str, Any]:
    return {
        "n_heads": heads,
        "n_kv_heads": kv_heads,
        "head_dim": head_dim,
        "attention_scale": head_dim**-0.5,
    }


def parse_layer_types(hf: Attributes, layers: int) -> tuple[bool, ...] | None:
    """`layer_types`: whether each layer's attention has a window [L]; None if absent."""
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


def without_windows(
    hf: Attributes, layers: int, positions: int, rope: RopeConfig | None
) -> dict[str, Any]:
    """Equal layers, for a model type whose code has no windows.

    If its config still has a window, transformers' cache drops keys that its attention would see.
    """
    if any(parse_layer_types(hf, layers) or ()):
        raise hf.refuse("layer_types has sliding_attention; expected full_attention in every layer")
    window = hf.take("sliding_window", int, default=None)
    if window is not None and window < positions:
        raise hf.refuse(
            f"sliding_window={shown(window)} is not supported, only max_position_embeddings ({positions}) or more"
        )
    return distinct([LayerKind(rope=rope)])


def qwen_windows(hf: Attributes, layers: int, rope: RopeConfig) -> dict[str, Any]:
    """Qwen's layers: a window from layer `max_window_layers` on, or in the layers that `layer_types` lists.

    The window has `sliding_window` keys and requires `use_sliding_window`.
    """
    hf.take("sliding_window", int, default=None)  # its type is checked even if nothing uses it
    first = hf.size("max_window_layers", least=0)
    window = (
        hf.size("sliding_window", default=None) if hf.take("use_sliding_window", bool) else None
    )
    slides = parse_layer_types(hf, layers)
    if slides is None:
        if window is None or first >= layers:
            return distinct([LayerKind(None, rope)])
        if first and layers > MOST_LAYERS:
            raise hf.refuse(
                f"num_hidden_layers is {layers}; with windows in some, at most {MOST_LAYERS:,}"
            )
        slides = tuple(layer >= first for layer in range(layers)) if first else (True,)
    return with_windows(hf, slides, window, [LayerKind(rope=rope)] * len(slides))


def sliding_pattern(hf: Attributes, layers: int, default: int) -> tuple[bool, ...]:
    """A repeating pattern of layers, True where attention has a window.

    `layer_types` defines it if present. Otherwise every `sliding_window_pattern`-th layer, by default every
    `default`-th, has no window.
    """
    pattern = all_but_every(hf, layers, "sliding_window_pattern", default)
    return parse_layer_types(hf, layers) or pattern


def all_but_every(hf: Attributes, layers: int, name: str, default: Any = ...) -> tuple[bool, ...]:
    """A repeating pattern of layers, False for every n-th; `name` is the attribute of n, with its `default`."""
    interval = hf.size(name, default=default)
    if interval > MOST_LAYERS:
        raise hf.refuse(f"{name} is {interval}, expected at most {MOST_LAYERS:,}")
    return tuple((layer + 1) % interval != 0 for layer in range(min(interval, layers)))


def sliding_kinds(
    hf: Attributes, slides: Sequence[bool], local: LayerKind, full: LayerKind
) -> dict[str, Any]:
    """Layers of the kind `local`, with a window of `sliding_window` keys, and of the kind `full`."""
    window = hf.size("sliding_window", default=None)
    return with_windows(hf, slides, window, [local if slide else full for slide in slides])


def with_windows(
    hf: Attributes, slides: Sequence[bool], window: int | None, by_layer: Sequence[LayerKind]
) -> dict[str, Any]:
    """Layers of the kinds `by_layer`; those in `slides` get the window."""
    if window is None and any(slides):
        raise hf.refuse(
            "layer_types has sliding_attention, but there is no sliding_window that is used"
        )
    return distinct(
        [
            dataclasses.replace(kind, window=window) if slide else kind
            for slide, kind in zip(slides, by_layer, strict=True)
        ]
    )


def distinct(by_layer: Sequence[LayerKind]) -> dict[str, Any]:
    """`kinds` and the shortest `pattern` of a ModelConfig whose layer i is of kind by_layer[i % len(by_layer)]."""
    kinds = tuple(dict.fromkeys(by_layer))
    indices = [kinds.index(kind) for kind in by_layer]
    period = next(n for n in range(1, len(indices) + 1) if indices[n:] == indices[:-n])
    return {"kinds": kinds, "pattern": tuple(indices[:period])}
