"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units shown (percent, not shares). Values that are not finite are not drawn. Each kind of chart
is a module that makes a Vega-Lite view; `render` draws it.
"""

from jaxprune.charts.bars import bar_chart as bar_chart
from jaxprune.charts.bars import column_chart as column_chart
from jaxprune.charts.changes import VERDICTS as VERDICTS
from jaxprune.charts.changes import Change as Change
from jaxprune.charts.changes import change_chart as change_chart
from jaxprune.charts.changes import change_in_points as change_in_points
from jaxprune.charts.changes import verdict as verdict
from jaxprune.charts.chart import Chart as Chart
from jaxprune.charts.heatmap import DIVERGING as DIVERGING
from jaxprune.charts.heatmap import heatmap as heatmap
from jaxprune.charts.intervals import Estimate as Estimate
from jaxprune.charts.intervals import interval_chart as interval_chart
from jaxprune.charts.lines import Line as Line
from jaxprune.charts.lines import line_chart as line_chart
from jaxprune.charts.panels import grid as grid
from jaxprune.charts.render import legal_text as legal_text
from jaxprune.charts.render import page_svg as page_svg
from jaxprune.charts.render import write_png as write_png
from jaxprune.charts.scales import limits as limits
from jaxprune.charts.theme import CSS as CSS
from jaxprune.charts.theme import SHAPES as SHAPES
