"""Sections on a task: accuracy by language with intervals, and what changed between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxprune.charts import (
    VERDICTS,
    Change,
    Chart,
    Estimate,
    Series,
    change_chart,
    interval_chart,
    verdict,
)
from jaxprune.evaluation.comparison import (
    Comparison,
    ComparisonMethod,
    LanguageComparison,
    MeanComparison,
    PerplexityComparison,
    TaskComparison,
    probability_table,
)
from jaxprune.evaluation.scoring import LanguageAccuracy, RankC
from jaxprune.html_report.figure import charts_row, verdict_mark
from jaxprune.html_report.files import ScoredRankC, ScoredTask
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.html_report.tables import table
from jaxprune.tables import (
    NONE,
    count,
    fraction,
    fractions,
    interval,
    number,
    p_value,
    percent,
    point_interval,
    points,
)

_TESTED = ("better", "worse", "unclear")
_UNIT = "accuracy, %"

Figures = Mapping[str, LanguageComparison | MeanComparison]


def _percents(value: float, bounds: Sequence[float]) -> Estimate:
    return Estimate(100 * value, 100 * bounds[0], 100 * bounds[1])


# One run.


def task_section(task: str, metrics: ScoredTask, options: int | None) -> Section:
    """Accuracy and RankC of a task that is scored, whose rows have so many options."""
    figures = metrics.languages
    accuracy = {
        code: _percents(figure.accuracy, figure.interval) for code, figure in figures.items()
    }
    series = [Series("accuracy", accuracy)]
    charts = [interval_chart(series, title="Accuracy", unit=_UNIT, chance=_chance(options))]
    if consistency := _consistency("RankC", {c: figure.rankc for c, figure in figures.items()}):
        charts.append(_rankc_chart([consistency]))
    header = ["language", "rows", "accuracy, %", "95% interval", "F1, %", "behind en", "RankC"]
    header += ["RankC official", "probability, %"]
    gaps = metrics.gap_to_english or {}
    rows = [
        [
            code,
            figure.rows,
            percent(figure.accuracy),
            interval(figure.interval),
            percent(figure.f1),
            percent(gaps.get(code)),
            *_rankc_cells(figure.rankc),
            percent(figure.probability, 2),
        ]
        for code, figure in figures.items()
    ]
    body = join(
        _about_task(metrics.protocol, options),
        charts_row(*charts),
        table(header, rows, caption=f"{task} by language"),
    )
    return Section(f"task-{task}", task, body)


_ABOUT = (
    "Intervals of accuracy are Wilson's, 95%. F1 is weighted by label. Behind en: points behind English. "
    "RankC: consistency with English, the likeliest label ranked first; official: as the authors' code "
    "ranks, the least likely first. Probability: of the right option, softmax of the scores of a row's options."
)


def _about_task(protocol: object, options: int | None) -> Markup | None:
    """How it was asked, and what guessing reaches."""
    parts: list[object] = ["Protocol ", tag("code", protocol), ". "] if protocol else []
    if options:
        parts.append(f"Chance, one of {options} options: {percent(1 / options)}%, the dashed line.")
    return tag("p", *parts, class_="note") if parts else None


def _chance(options: int | None) -> float | None:
    """Percent of rows that guessing gets right."""
    return 100 / options if options else None


def _rankc_cells(rankc: RankC | ScoredRankC | None) -> tuple[str, str]:
    """Corrected and official."""
    return (fraction(rankc.corrected), fraction(rankc.official)) if rankc else (NONE, NONE)


def _consistency(name: str, by_language: Mapping[str, RankC | ScoredRankC | None]) -> Series | None:
    values = {
        code: Estimate(rankc.corrected)
        for code, rankc in by_language.items()
        if rankc is not None and rankc.corrected is not None
    }
    return Series(name, values) if values else None


def _rankc_chart(series: Sequence[Series]) -> Chart:
    return interval_chart(series, title="Consistency with English", unit="RankC")


def task_lines(scored: Mapping[str, ScoredTask]) -> Markup:
    """Of every task of a run: means and the worst language."""
    rows = [
        [
            task,
            percent(metrics.mean),
            percent(metrics.mean_non_english),
            _worst(metrics.worst),
        ]
        for task, metrics in scored.items()
    ]
    header = ["task", "mean accuracy, %", "mean non-en, %", "worst language, %"]
    means = table(header, rows, caption="means of every task")
    return join(means, tag("p", _ABOUT, class_="note"))


def _worst(worst: LanguageAccuracy | None) -> str | None:
    return f"{worst.language} {percent(worst.accuracy)}" if worst else None


# Two runs.


def comparison_section(task: str, comparison: TaskComparison, options: int | None) -> Section:
    """A task of a comparison, whose rows have so many options."""
    figures = comparison.languages
    sides = ((BEFORE, "a"), (AFTER, "b"))
    accuracy = [
        Series(name, {
            code: _percents(
                getattr(figure.accuracy, side), getattr(figure.accuracy_interval, side)
            )
            for code, figure in figures.items()
        })
        for name, side in sides
    ]  # fmt: skip
    unit = f"points, {AFTER} \N{MINUS SIGN} {BEFORE}"
    charts = [
        change_chart(_changes(comparison), title="Change in accuracy", unit=unit),
        interval_chart(accuracy, title="Accuracy", unit=_UNIT, chance=_chance(options)),
    ]
    of_side = {
        name: {
            code: getattr(figure.rankc, side) if figure.rankc else None
            for code, figure in figures.items()
        }
        for name, side in sides
    }
    consistency = [one for name in of_side if (one := _consistency(name, of_side[name]))]
    if consistency:
        charts.append(_rankc_chart(consistency))
    body = join(
        _about_task(comparison.protocol, options),
        charts_row(*charts),
        _comparison_table(task, comparison),
        _probability_table(task, comparison),
        *(tag("p", note, class_="note") for note in _partial(figures)),
    )
    return Section(f"task-{task}", task, body)


def _changes(comparison: TaskComparison) -> list[Change]:
    changes = []
    figures: Figures = {**comparison.languages, **comparison.means}
    for name, figure in figures.items():
        low, high = (100 * bound for bound in figure.interval)
        changes.append(Change(name, 100 * figure.difference, low, high, figure.significant))
    return changes


def _comparison_table(task: str, comparison: TaskComparison) -> Markup:
    two = [BEFORE, AFTER]
    header = ["language", *two, "points", "95% interval", "", "Holm", "McNemar", "bootstrap"]
    header += [*two, *two, *two, *two, "rows"]
    groups = [("", 1), ("accuracy, %", 2), ("change", 3), ("p", 3), ("RankC", 2)]
    groups += [("behind en", 2), ("F1, %", 2), ("RankC official", 2), ("", 1)]
    rows = [_comparison_row(code, figure) for code, figure in comparison.languages.items()]
    rows += [_comparison_row(name, figure) for name, figure in comparison.means.items()]
    return table(header, rows, caption=f"{task}: what changed by language", groups=groups)


def _probability_table(task: str, comparison: TaskComparison) -> Markup | None:
    found = probability_table(comparison)
    if found is None:
        return None
    title = tag("h3", f"P{found.title[1:]}")
    # the page's own words for the two runs, which the terminal calls A and B
    header = ["language", BEFORE, AFTER, "points", "95% interval", "p, bootstrap"]
    return join(title, table(header, found.rows, caption=f"{task}: {found.title}"))


def _comparison_row(name: str, figure: LanguageComparison | MeanComparison) -> list[object]:
    p, kind = figure.p, verdict(figure.difference, figure.significant)
    language = figure if isinstance(figure, LanguageComparison) else None
    gap, f1, rankc = (
        (getattr(language, key, None) or (None, None)) for key in ("gap_to_english", "f1", "rankc")
    )
    corrected, official = zip(*map(_rankc_cells, rankc), strict=True)

    def coloured(text: str | None) -> Markup:
        return tag("span", text, class_=kind)

    return [
        name,
        *map(percent, figure.accuracy),
        coloured(points(figure.difference)),
        point_interval(figure.interval),
        coloured(VERDICTS[kind].word) if kind in _TESTED else None,
        *(p_value(test) for test in (p.holm, p.mcnemar, p.bootstrap)),
        *corrected,
        *map(percent, gap),
        *map(percent, f1),
        *official,
        language and language.rows,
    ]


def _about(method: ComparisonMethod) -> str:
    return (
        f"Better and worse are significant: {method.significant}, p at most {method.alpha}. The "
        f"interval and the bootstrap's p of a change: paired bootstrap over rows, "
        f"{count(method.resamples)} resamples, {method.confidence:.0%}; for means a row is drawn in "
        "all languages at once, and nothing is corrected. Points are percentage points. "
    )


def _partial(figures: Mapping[str, LanguageComparison]) -> list[str]:
    """Languages of which the runs have not the same rows."""
    return [
        f"{code}: {count(figure.rows)} rows are in both runs and count ({BEFORE} has "
        f"{count(figure.rows_a)}, {AFTER} {count(figure.rows_b)})."
        for code, figure in figures.items()
        if {figure.rows_a, figure.rows_b} != {figure.rows}
    ]


def verdicts(comparison: Comparison, options: Mapping[str, int]) -> Markup:
    """Of every task, which languages got better, which worse, which neither: the answer in a glance.

    Args:
      comparison: of two runs.
      options: of a row, by task, where they are known.
    """
    parts = [
        _verdict(task, compared, options.get(task)) for task, compared in comparison.tasks.items()
    ]
    if comparison.perplexity:
        parts.append(_perplexities(comparison.perplexity))
    about = tag("p", _about(comparison.method), _ABOUT, class_="note") if comparison.tasks else None
    return join(tag("div", *parts, class_="verdicts"), about)


def _perplexities(by_language: Mapping[str, PerplexityComparison]) -> Markup:
    """Perplexity of every language after over before, the greatest first."""
    chips = []
    for code in sorted(by_language, key=lambda code: -by_language[code].ratio):
        figure = by_language[code]
        ratio = f" × {fraction(figure.ratio)}"
        title = " → ".join(map(number, figure.perplexity))
        title += f", ratio {fractions(figure.interval)}" if figure.interval else ""
        chips += [tag("span", tag("b", code), ratio, class_="chip", title=title), " "]
    title = tag("a", "Perplexity", href="#perplexity")
    note = tag("p", f"{AFTER} over {BEFORE}: above 1 the texts became less likely", class_="note")
    return tag("div", tag("h3", title), tag("p", *chips), note)


def _verdict(task: str, comparison: TaskComparison, options: int | None) -> Markup:
    by_kind: dict[str, list[Markup]] = {kind: [] for kind in _TESTED}
    figures = comparison.languages
    for code in sorted(figures, key=lambda code: -figures[code].difference):
        figure = figures[code]
        change = tag("span", tag("b", code), " ", points(figure.difference), class_="chip")
        by_kind[verdict(figure.difference, figure.significant)].append(change)
    lines = []
    for kind, chips in by_kind.items():
        none = tag("span", "none", class_="faint")
        spaced = [part for chip in chips for part in (chip, " ")]
        lines += [
            tag("dt", verdict_mark(kind), VERDICTS[kind].word, class_=kind),
            tag("dd", *(spaced or [none])),
        ]
    means = ", ".join(f"{name} {points(m.difference)}" for name, m in comparison.means.items())
    chance = f"; chance is {percent(1 / options)}%" if options else ""
    note = f"{means} points{chance}"
    title = tag("a", task, href=f"#task-{task}")
    return tag("div", tag("h3", title), tag("dl", *lines), tag("p", note, class_="note"))
