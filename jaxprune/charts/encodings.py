"""The parts that views of Vega-Lite are made of: channels of names and of numbers, and layers of marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxprune.charts import theme


def names(field: str, values: Sequence[str], axis: Any, **scale: Any) -> dict[str, Any]:
    """A channel of names, in this order; `axis` None: without one."""
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": list(values), **scale},
        "axis": axis,
    }


def numbers(field: str, ends: tuple[float, float], axis: Any, **scale: Any) -> dict[str, Any]:
    """A channel of numbers, whose axis goes from one end to the other."""
    return {
        "field": field,
        "type": "quantitative",
        "scale": {"domain": list(ends), "nice": False, **scale},
        "axis": axis,
    }


def row_axis(values: Sequence[str]) -> dict[str, Any]:
    """The vertical axis of named rows."""
    return names("name", values, theme.name_axis(), padding=0)


def literal_colours(field: str) -> dict[str, Any]:
    """A channel whose field holds the colours themselves."""
    return {"field": field, "type": "nominal", "scale": None}


def layer(
    name: str, mark: dict[str, Any], data: Sequence[Any] | None = None, **channels: Any
) -> dict[str, Any]:
    """A layer of marks; without `data` it draws that of its view. Marks of a `description` tell it on a page."""
    told = {} if "description" in channels else {"aria": False}
    rows = {} if data is None else {"data": {"values": data}}
    return {"name": name, **rows, "mark": mark | told, "encoding": channels}


def value_layer(
    names: Sequence[str], data: Sequence[Any] | None = None, **channels: Any
) -> dict[str, Any]:
    """Texts of the field `shown`, right of the plot."""
    mark = {"type": "text", "align": "right", "dx": 44, "fontWeight": "bold"}
    place = {"x": {"value": "width"}, "y": row_axis(names)}
    return layer("values", mark, data, **place, text={"field": "shown"}, **channels)
