"""Attributes of a config.json that many families have → sizes of heads, kinds of layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxprune.errors import shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import LayerKind, ModelConfig

# A pattern of layers repeats after so many at most: a number in a file must not ask for as many records.
MOST_LAYERS = 1024

SLIDING, FULL = "sliding_attention", "full_attention"


class Heads(NamedTuple):
    """Query heads, key and value heads, and the features of each."""

    n_heads: int
    n_kv_heads: int
    head_dim: int


def heads(hf: Attributes, d_model: int, default: Heads, *, rotated: bool = True) -> Heads:
    """`num_attention_heads`, `num_key_value_heads` and `head_dim`.

    Args:
      default: of what is missing; numbers of 0 there: as many KV heads as heads, d_model shared out among heads.
      rotated: whether features of a head turn in pairs.
    """
    count = hf.size("num_attention_heads", default=default.n_heads)
    kv = hf.size("num_key_value_heads", default=default.n_kv_heads or count)
    if hf.is_null("num_key_value_heads"):
        kv = count
    if count % kv:
        raise hf.refuse(f"num_attention_heads {count} is no multiple of num_key_value_heads {kv}")
    width = hf.size("head_dim", default=default.head_dim or d_model // count)
    if width % 2 and rotated:
        raise hf.refuse(f"head_dim {width} is odd; rotary positions turn pairs of coordinates")
    return Heads(count, kv, width)


def window(hf: Attributes, default: int | None) -> int | None:
    """`sliding_window`; null is none."""
    if hf.is_null("sliding_window") or (default is None and not hf.has("sliding_window")):
        return None
    return hf.size("sliding_window", default=default)


def layer_types(hf: Attributes, layers: int) -> list[str] | None:
    """`layer_types`, "sliding_attention" or "full_attention" each, or None."""
    types = hf.take("layer_types", list, default=None)
    if types is None:
        return None
    for one in types:
        if one not in (SLIDING, FULL):
            raise hf.refuse(f"layer_types: got {shown(one)}; allowed: {SLIDING!r}, {FULL!r}")
    if len(types) != layers:
        raise hf.refuse(f"layer_types has {len(types)} entries, num_hidden_layers is {layers}")
    return types


def every(hf: Attributes, name: str, default: int) -> int:
    """`name`: each so-manyth layer is of another kind than those before it."""
    number = hf.size(name, default=default)
    if number > MOST_LAYERS:
        raise hf.refuse(f"{name} is {number}, expected {MOST_LAYERS} or less")
    return number


def kinds(by_layer: Sequence[LayerKind]) -> dict[str, Any]:
    """The fields `kinds` and `pattern` of a config whose layer i is by_layer[i % len(by_layer)]."""
    distinct = tuple(dict.fromkeys(by_layer))
    pattern = tuple(distinct.index(kind) for kind in by_layer) if len(distinct) > 1 else (0,)
    return {"kinds": distinct, "pattern": pattern}


def sliding(
    hf: Attributes, types: Sequence[str], local: LayerKind, full: LayerKind, *, default: int
) -> list[LayerKind]:
    """The kind of each layer by its type: `local` with `sliding_window`, or `full`."""
    width = window(hf, default)
    if width is None and SLIDING in types:
        raise hf.refuse(f"sliding_window is null, but layers are of type {SLIDING!r}")
    windowed = dataclasses.replace(local, window=width)
    return [windowed if one == SLIDING else full for one in types]


def layer_types_of(config: ModelConfig) -> dict[str, Any]:
    """The inverse of `sliding`: `layer_types` and `sliding_window`."""
    windows = [config.kind(i).window for i in range(config.n_layers)]
    return {
        "layer_types": [FULL if one is None else SLIDING for one in windows],
        "sliding_window": next((one for one in windows if one is not None), None),
    }
