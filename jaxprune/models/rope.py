"""Rotary positions of a config.json → `RopeConfig`."""

import types
from collections.abc import Mapping
from typing import Any

from jaxprune.base.errors import listed, shown
from jaxprune.models.attributes import Attributes
from jaxprune.models.config import RopeConfig

HANDLED = ("default", "dynamic", "linear", "llama3")


def parse_rope(
    hf: Attributes, theta: float = 10000.0, default: Mapping[str, Any] = types.MappingProxyType({})
) -> RopeConfig:
    """`rope_parameters` of transformers 5, or `rope_theta` and `rope_scaling` of earlier releases.

    Args:
      hf: a config with these attributes.
      theta: the base if absent: the default of the config's class.
      default: the table if absent. An empty `rope_parameters` counts as a table, an empty `rope_scaling` as absent.

    Raises:
      InputError: a type of scaling other than linear, dynamic and Llama 3's; two tables that differ (transformers takes
        `rope_scaling`); a number that differs inside and outside a table.
    """
    scaling = hf.take("rope_scaling", dict, default={})
    table = hf.take("rope_parameters", dict, default={} if scaling else dict(default))
    ropes = [_parse_table(hf, raw, theta) for raw in filter(None, (scaling, table))]
    if not ropes:
        return _parse_table(hf, {}, theta)
    if ropes[0] != ropes[-1]:
        raise hf.refuse(
            "rope_scaling and rope_parameters disagree; expected the same rotary positions, or one of them"
        )
    return ropes[0]


def _parse_table(hf: Attributes, table: dict[str, Any], theta: float) -> RopeConfig:
    """One table, with the numbers beside it."""
    rope = hf.part("rope", table)
    if nested := [name for name, value in table.items() if isinstance(value, dict)]:
        raise rope.refuse(f"a table for each kind of layer is not supported: {listed(nested)}")
    kind = rope.take("rope_type", str, "type", default="default")
    if kind not in HANDLED:
        allowed = ", ".join(map(shown, HANDLED))
        raise hf.refuse(f"rope_type={shown(kind)} is not supported, only {allowed}")
    numbers = {
        name: _single_value(
            hf, name, rope.take(name, float, default=None), hf.take(name, float, default=None)
        )
        for name in ("rope_theta", "partial_rotary_factor")
    }
    if numbers["partial_rotary_factor"] not in (None, 1.0):
        raise hf.refuse("partial_rotary_factor other than 1 is not supported")
    name = "original_max_position_embeddings"
    original = _single_value(hf, name, rope.size(name, default=None), hf.size(name, default=None))
    scaling: dict[str, Any] = {}
    if kind == "llama3":
        names = ("factor", "low_freq_factor", "high_freq_factor")
        scaling = {name: rope.take(name, float) for name in names}
        if scaling["low_freq_factor"] >= scaling["high_freq_factor"]:
            raise rope.refuse("low_freq_factor must be below high_freq_factor")
        scaling["original_max_positions"] = original or hf.size("max_position_embeddings")
    elif kind == "linear":
        scaling["linear_factor"] = rope.take("factor", float)
    else:  # dynamic scaling starts beyond max_position_embeddings, and all rows are shorter
        rope.take("factor", float, default=... if kind == "dynamic" else None)
    rope.finish()
    return RopeConfig(numbers["rope_theta"] or theta, **scaling)


def _single_value(hf: Attributes, name: str, inside: Any, outside: Any) -> Any:
    """A number inside the table of rotary positions or beside it."""
    if None not in (inside, outside) and inside != outside:
        raise hf.refuse(
            f"{name}={shown(outside)} and {name}={shown(inside)} in the table of rotary positions disagree"
        )
    return outside if inside is None else inside
