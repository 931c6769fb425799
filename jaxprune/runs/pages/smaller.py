"""The section on a smaller model: splits of texts, influence of layers, and shares of the kept neurons, by language."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.report.charts.lines import Line, line_chart
from jaxprune.report.charts.theme import SHAPES
from jaxprune.report.document import Charts, Part, Section
from jaxprune.runs.smaller_facts import split_table


def smaller_section(shrunk: Mapping[str, Any]) -> Section:
    """Splits by language as a table, layers and neurons as lines."""
    charts = []
    if "depth" in shrunk and (influence := shrunk["depth"]["influence"]):
        lines = _lines(influence)
        y_title = "1 \N{MINUS SIGN} cos(input, output)"
        charts.append(line_chart(lines, title="Influence", y_title=y_title))
    if "width" in shrunk:
        lines = _lines(shrunk["width"]["shares"])
        y_title = "share of the influence"
        charts.append(line_chart(lines, title="Kept neurons", y_title=y_title))
    parts: list[Part] = [splits] if (splits := split_table(shrunk)) else []
    return Section("smaller", "A smaller model", [*parts, Charts(charts)] if charts else parts)


def _lines(by_language: Mapping[str, Sequence[float]]) -> list[Line]:
    """A line for each language; colours repeat after six, with other dashes."""
    dashes = [dash for dash in ("solid", "dashed", "dotted") for _ in SHAPES]
    return [
        Line(code, values, i, dashes[i % len(dashes)])
        for i, (code, values) in enumerate(by_language.items())
    ]
