"""The record that every kind of chart returns and `render` draws."""

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

    def __repr__(self) -> str:
        return f"<Chart: {self.title}>"

    def svg(self) -> str:
        """The picture as SVG, which notebooks show; for a file, `Path("chart.svg").write_text(chart.svg())`."""
        from jaxprune.charts.render import svg  # late: it imports this file

        return svg(self)

    def _repr_svg_(self) -> str:
        return self.svg()
