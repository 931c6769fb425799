"""Rotary positions of a config.json → `RopeConfig`, and back."""

from __future__ import annotations

from typing import Any

from jaxprune.errors import shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import RopeConfig


def parse_rope(hf: Attributes, theta: float = 10000.0) -> RopeConfig:
    """`rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of the releases before."""
    table = {"rope_theta": hf.take("rope_theta", float, default=theta)}
    table |= hf.take("rope_scaling", dict, default={})
    table |= hf.take("rope_parameters", dict, default={})
    kind = table.pop("rope_type", table.get("type", "default"))
    table.pop("type", None)
    if kind == "default":
        table.pop("factor", None)
    rope = hf.part("rope", table)
    base = rope.take("rope_theta", float)
    if any(part.take("partial_rotary_factor", float, default=1.0) != 1.0 for part in (rope, hf)):
        raise hf.refuse("partial_rotary_factor other than 1 is not supported")
    scaling: dict[str, Any] = {}
    if kind == "llama3":
        names = ("factor", "low_freq_factor", "high_freq_factor")
        if missing := [n for n in (*names, "original_max_position_embeddings") if n not in table]:
            raise hf.refuse(f"rope_type llama3 needs {', '.join(missing)}")
        scaling = {name: rope.take(name, float) for name in names}
        scaling["original_max_positions"] = rope.size("original_max_position_embeddings")
        if scaling["low_freq_factor"] >= scaling["high_freq_factor"]:
            raise rope.refuse("low_freq_factor must be below high_freq_factor")
    elif kind != "default":
        raise hf.refuse(f"rope_type={shown(kind)} is not supported, only 'default', 'llama3'")
    rope.finish()
    return RopeConfig(base, **scaling)


def rope_parameters(rope: RopeConfig) -> dict[str, Any]:
    """The inverse of `parse_rope`, as transformers 5 writes it."""
    parameters: dict[str, Any] = {"rope_type": "default", "rope_theta": rope.theta}
    if rope.factor is not None:
        parameters |= {
            "rope_type": "llama3",
            "factor": rope.factor,
            "low_freq_factor": rope.low_freq_factor,
            "high_freq_factor": rope.high_freq_factor,
            "original_max_position_embeddings": rope.original_max_positions,
        }
    return parameters
