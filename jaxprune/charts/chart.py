"""The record that every kind of chart makes and `render` draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Chart(NamedTuple):
    """A chart that is not drawn yet.

    Attributes:
      title: what it shows, in words. A page writes it above the chart, a PNG file has it inside.
      view: a Vega-Lite view or concatenation of views, without title.
      width: pixels of the whole chart, axes included; None where the plot alone has a width.
    """

    title: str
    view: Mapping[str, Any]
    width: int | None = None

    def __repr__(self) -> str:
        return f"<Chart: {self.title}>"

    def svg(self) -> str:
        """The picture as SVG, which notebooks show; for a file, `Path("chart.svg").write_text(chart.svg())`."""
        from jaxprune.charts.render import svg  # late: it imports this file

        return svg(self)

    def _repr_svg_(self) -> str:
        return self.svg()
