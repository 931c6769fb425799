"""The record that every kind of chart returns, and its drawing as SVG or PNG.

vl-convert draws it: no browser, no network, own fonts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxprune.base.templates import legal_text
from jaxprune.report.charts import theme

_PIXELS = 2  # of a PNG file, per pixel of the chart


class Chart(NamedTuple):
    """A chart before rendering.

    Attributes:
      title: the subject of the chart. Pages show it above the chart; PNG files contain it.
      view: a Vega-Lite view or concatenation of views, without title.
      width: width of the chart with its axes, in pixels; None if the view sets the width of the plot only.
    """

    title: str
    view: Mapping[str, Any]
    width: int | None = None

    def __repr__(self) -> str:
        return f"<Chart: {self.title}>"

    def svg(self) -> str:
        """The picture as SVG, which notebooks show; for a file, `Path("chart.svg").write_text(chart.svg())`."""
        font = str(theme.CONFIG["font"])
        return (
            _renderer().vegalite_to_svg(_titled(self)).replace(font, f"{font}, Arial, sans-serif")
        )

    def _repr_svg_(self) -> str:
        return self.svg()


def write_png(chart: Chart, path: Path) -> None:
    """Writes the chart and its title on a white background."""
    path.write_bytes(_renderer().vegalite_to_png(_titled(chart), scale=_PIXELS))


def svg_without_title(chart: Chart) -> str:
    """The chart as Vega draws it on a transparent background."""
    return str(_renderer().vegalite_to_svg(_specification(chart)))


def _renderer() -> Any:
    """The module vl_convert, imported late as only drawing needs it."""
    import vl_convert

    return vl_convert


def _titled(chart: Chart) -> dict[str, Any]:
    title = {"title": {"text": legal_text(chart.title).split("\n"), "offset": 14}}
    return _specification(chart) | title | {"background": "white", "padding": 12}


def _specification(chart: Chart) -> dict[str, Any]:
    fit = {"autosize": {"type": "fit-x", "contains": "padding"}} if chart.width else {}
    defaults = {"config": theme.CONFIG, "background": None, "padding": 2}
    return {**_clean(dict(chart.view)), **defaults, **fit}


def _clean(value: Any) -> Any:
    """The value, with `legal_text` applied to every string."""
    if isinstance(value, str):
        return legal_text(value)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple | range) else value
