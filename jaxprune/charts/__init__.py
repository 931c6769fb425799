"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units shown (percent, not shares). Values that are not finite are not drawn. Each kind of chart
makes a Vega-Lite view, which `chart` draws.
"""

from jaxprune.charts.chart import Chart as Chart
from jaxprune.charts.chart import write_png as write_png
from jaxprune.charts.columns import column_chart as column_chart
from jaxprune.charts.heatmap import DIVERGING as DIVERGING
from jaxprune.charts.heatmap import heatmap as heatmap
from jaxprune.charts.lines import Line as Line
from jaxprune.charts.lines import line_chart as line_chart
from jaxprune.charts.page_svg import page_svg as page_svg
from jaxprune.charts.panels import grid as grid
from jaxprune.charts.rows import Estimate as Estimate
from jaxprune.charts.rows import bar_chart as bar_chart
from jaxprune.charts.rows import interval_chart as interval_chart
from jaxprune.charts.scales import limits as limits
from jaxprune.charts.theme import CSS as CSS
from jaxprune.charts.theme import SHAPES as SHAPES
