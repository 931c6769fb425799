"""Names and numbers → charts; a chart → SVG text for a page, or a PNG file.

Values are in the units shown (percent, not shares). Values that are not finite are not drawn. Each kind of chart
makes a Vega-Lite view, which `chart` draws.
"""
