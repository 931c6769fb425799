"""The section on a smaller vocabulary: texts by language that split as before, and the growth of others."""

from jaxprune.calibration import language
from jaxprune.charts import bar_chart
from jaxprune.html_report.markup import join, tag
from jaxprune.html_report.page import Section, charts_row
from jaxprune.html_report.tables import table
from jaxprune.ledger import Shrunk
from jaxprune.runs.smaller_card import HEADER, difference, growth, splits


def vocabulary_section(shrunk: Shrunk) -> Section:
    """Splits by language as a table, the growth of texts held out as bars."""
    bars = [
        (language(code).name, 100 * growth(found))
        for code, found in shrunk.get("heldout", {}).items()
    ]
    title = "More tokens in texts held out, %"
    most = max((value for _, value in bars), default=0.0)
    charts = [bar_chart(bars, title=title, most=max(most, 1.0))] if bars else []
    caption = "Texts by language; growth in % of the tokens"
    body = join(
        tag("p", *difference(shrunk)),
        table(HEADER, [*splits(shrunk)], caption=caption),
        charts_row(*charts) if charts else None,
    )
    return Section("vocabulary", "Vocabulary", body)
