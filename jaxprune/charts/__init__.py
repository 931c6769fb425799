"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units to be shown (percent, not shares). What is not finite is not drawn. Each kind of chart
has a module, which makes a Vega-Lite view; `render` draws it.
"""

from jaxprune.charts.bars import bar_chart, column_chart
from jaxprune.charts.changes import VERDICTS, Change, change_chart, change_in_points, verdict
from jaxprune.charts.chart import Chart
from jaxprune.charts.heatmap import DIVERGING, heatmap
from jaxprune.charts.intervals import Estimate, Series, interval_chart
from jaxprune.charts.lines import Line, line_chart
from jaxprune.charts.panels import grid
from jaxprune.charts.render import check_system, page_svg, write_png
from jaxprune.charts.scales import limits

__all__ = [
    "DIVERGING",
    "VERDICTS",
    "Change",
    "Chart",
    "Estimate",
    "Line",
    "Series",
    "bar_chart",
    "change_chart",
    "change_in_points",
    "check_system",
    "column_chart",
    "grid",
    "heatmap",
    "interval_chart",
    "limits",
    "line_chart",
    "page_svg",
    "verdict",
    "write_png",
]
