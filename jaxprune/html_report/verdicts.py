"""Changes of accuracy and perplexity → better, worse, no significant change, or no verdict."""

from collections.abc import Sequence

from jaxprune.charts import VERDICTS, verdict
from jaxprune.evaluation.comparison import LanguageComparison, MeanComparison, PerplexityComparison
from jaxprune.html_report.markup import Markup, note, tag

# By class of style.css.
WORDS = {kind: looks.words for kind, looks in VERDICTS.items()}
_GLYPHS = {"better": "▲", "worse": "▼", "untested": "◆"}


def is_at_chance(interval: Sequence[float], options: int | None) -> bool:
    """Whether an interval of accuracy contains 1 / options."""
    return options is not None and interval[0] <= 1 / options <= interval[1]


def of_accuracy(figure: LanguageComparison | MeanComparison, options: int | None) -> str:
    """The key of WORDS for a change; "chance" if the model before is at chance, "untested" for a mean."""
    if isinstance(figure, LanguageComparison) and is_at_chance(figure.accuracy_interval.a, options):
        return "chance"
    return verdict(figure.difference, figure.significant)


def of_perplexity(figure: PerplexityComparison) -> str:
    """The key of WORDS: worse if the interval of the ratio is above 1, better if it is below."""
    if figure.interval is None:
        return "untested"
    low, high = figure.interval
    return "worse" if low > 1 else "better" if high < 1 else "unclear"


def word(kind: str) -> Markup:
    """The word of a verdict in its colour."""
    return tag("span", WORDS[kind], class_=kind)


def verdict_mark(kind: str) -> Markup:
    """The character of a verdict's mark in charts; verdicts without a mark have that of an insignificant change."""
    return tag("span", _GLYPHS.get(kind, "○"), class_=f"glyph {kind}", aria_hidden="true")


def by_verdict(title: str, section: str, chips: Sequence[tuple[str, Markup]], text: str) -> Markup:
    """A link to a section, and the chips under their verdicts; the first three verdicts are always shown."""
    lines = []
    for place, kind in enumerate(WORDS):
        shown = [part for of, chip in chips if of == kind for part in (chip, " ")]
        if shown or place < 3:
            lines.append(tag("dt", verdict_mark(kind), WORDS[kind], class_=kind))
            lines.append(tag("dd", *(shown or [tag("span", "none", class_="faint")])))
    heading = tag("h3", tag("a", title, href=f"#{section}"))
    return tag("div", heading, tag("dl", *lines), note(text))
