"""Continuations of the same beginnings by one model or two → rows, and a section that folds them by language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxprune.evaluation.continuations import NEW_TOKENS
from jaxprune.evaluation.metrics_json import MetricsFile
from jaxprune.html_report.markup import join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.tables import table

CONTINUATIONS = "continuations"  # the key of perplexity/metrics.json
ABOUT = (
    f"Greedy continuations of the beginnings of a text's first lines, up to {NEW_TOKENS} tokens. "
    "They illustrate the model's output and measure nothing."
)


def continued_rows(sides: Sequence[MetricsFile], code: str) -> list[list[str | None]]:
    """Beginnings in a language that the last of the metrics has, and their continuations in each."""
    texts = [
        {
            one["beginning"]: one["text"] or "(end of text)"
            for one in side.get("continuations", {}).get(code, ())
        }
        for side in sides
    ]
    return [[beginning, *(side.get(beginning) for side in texts)] for beginning in texts[-1]]


def continuation_section(sides: Mapping[str, MetricsFile]) -> Section | None:
    """A folded table for each language; `sides` are the metrics of perplexity by the names of their columns."""
    *_, last = sides.values()
    header = ["beginning", *sides]
    tables = [
        tag("details", tag("summary", code), table(header, rows, caption=f"{code}, continued", wrap=True))
        for code in last.get("continuations", {})
        if (rows := continued_rows([*sides.values()], code))
    ]  # fmt: skip
    if not tables:
        return None
    return Section(CONTINUATIONS, "Continuations", join(tag("p", ABOUT, class_="note"), *tables))
