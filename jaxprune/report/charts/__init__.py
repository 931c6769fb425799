"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units shown (percent, not shares). Values that are not finite are not drawn. Each kind of chart
makes a Vega-Lite view, which `chart` draws.

A chart is a Vega-Lite spec, a plain dict made from names and numbers. vl-convert renders it as SVG for pages and as
PNG for folders of figures. It is one wheel with its own fonts; it needs no browser, network or display, and the same
numbers give the same bytes on any machine. matplotlib, which it replaced, has no tooltips and one colour scheme, and
took three times as long; plotly.js adds 3 MB of script to every page, Bokeh needs a browser for static files, altair
is one more package for the same specs.

`page_svg.py` adapts the SVG to a page. The aria-labels that Vega writes become `<title>`, which browsers show on
hover; colours become CSS variables with a light and a dark scheme; ids, fonts and scripts are removed. Vega has two
pitfalls. Views of a concatenation whose layers have the same name share their data, so `panels.py` renames them. A
limit on the width of labels makes every label slow, so `theme.CONFIG` sets none.
"""
