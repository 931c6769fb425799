"""The section on a smaller model: splits of texts, influence of layers, and shares of the kept neurons, by language."""

from collections.abc import Mapping
from typing import Any

from jaxprune.pages.smaller_facts import split_table
from jaxprune.report.charts.lines import line_chart, lines_of
from jaxprune.report.document import Charts, Part, Section


def smaller_section(shrunk: Mapping[str, Any]) -> Section:
    """Splits by language as a table, layers and neurons as lines."""
    charts = []
    if "depth" in shrunk and (influence := shrunk["depth"]["influence"]):
        lines = lines_of(influence)
        y_title = "1 \N{MINUS SIGN} cos(input, output)"
        charts.append(line_chart(lines, title="Influence", y_title=y_title))
    if "width" in shrunk:
        lines = lines_of(shrunk["width"]["shares"])
        y_title = "share of the influence"
        charts.append(line_chart(lines, title="Kept neurons", y_title=y_title))
    parts: list[Part] = [splits] if (splits := split_table(shrunk)) else []
    return Section("smaller", "A smaller model", [*parts, Charts(charts)] if charts else parts)
