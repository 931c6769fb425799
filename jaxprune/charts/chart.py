"""The record that every kind of chart returns and `render` draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Chart(NamedTuple):
    """A chart before rendering.

    Attributes:
      title: the subject of the chart. Pages show it above the chart; PNG files contain it.
      view: a Vega-Lite view or concatenation of views, without title.
      width: of the chart with its axes, in pixels; None if the view sets the width of the plot only.
    """

    title: str
    view: Mapping[str, Any]
    width: int | None = None
