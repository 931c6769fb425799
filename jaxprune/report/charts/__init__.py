"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units shown (percent, not shares). Values that are not finite are not drawn. Each kind of chart
makes a Vega-Lite view, which `chart` draws.
"""

from jaxprune.report.charts.chart import Chart as Chart
from jaxprune.report.charts.chart import write_png as write_png
from jaxprune.report.charts.heatmap import DIVERGING as DIVERGING
from jaxprune.report.charts.heatmap import heatmap as heatmap
from jaxprune.report.charts.lines import Line as Line
from jaxprune.report.charts.lines import line_chart as line_chart
from jaxprune.report.charts.page_svg import page_svg as page_svg
from jaxprune.report.charts.panels import grid as grid
from jaxprune.report.charts.rows import Estimate as Estimate
from jaxprune.report.charts.rows import bar_chart as bar_chart
from jaxprune.report.charts.rows import interval_chart as interval_chart
from jaxprune.report.charts.scales import limits as limits
from jaxprune.report.charts.theme import CSS as CSS
from jaxprune.report.charts.theme import SHAPES as SHAPES
