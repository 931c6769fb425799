"""Sections on a task: accuracy by language with intervals, and what changed between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jaxprune.evaluation.comparison import (
    ComparisonMethod,
    LanguageComparison,
    MeanComparison,
    TaskComparison,
)
from jaxprune.evaluation.scoring import LanguageAccuracy, RankC
from jaxprune.html_report.charts import (
    Change,
    Estimate,
    Series,
    change_chart,
    interval_chart,
    verdict,
    verdict_mark,
)
from jaxprune.html_report.files import ScoredRankC, ScoredTask
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.html_report.plot import charts_row
from jaxprune.html_report.tables import table
from jaxprune.tables import NONE, fraction, interval, p_value, percent, point_interval, points

_WORDS = {"better": "better", "worse": "worse", "unclear": "not significant"}
_UNIT = "accuracy, %"

Figures = Mapping[str, LanguageComparison | MeanComparison]


def _percents(value: float, bounds: Sequence[float]) -> Estimate:
    return Estimate(100 * value, 100 * bounds[0], 100 * bounds[1])


# One run.


def task_section(task: str, metrics: ScoredTask) -> Section:
    """Accuracy and RankC of a task that is scored."""
    figures = metrics.languages
    accuracy = {
        code: _percents(figure.accuracy, figure.interval) for code, figure in figures.items()
    }
    charts = [interval_chart([Series("accuracy", accuracy)], title="Accuracy", unit=_UNIT)]
    if consistency := _consistency("RankC", {c: figure.rankc for c, figure in figures.items()}):
        charts.append(_rankc_chart([consistency]))
    header = ["language", "rows", "accuracy, %", "95% interval", "F1, %", "behind en", "RankC"]
    header.append("RankC official")
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
        ]
        for code, figure in figures.items()
    ]
    body = join(
        _protocol(metrics.protocol),
        charts_row(*charts),
        table(header, rows, caption=f"{task} by language"),
    )
    return Section(f"task-{task}", task, body)


_ABOUT = (
    "Intervals of accuracy are Wilson's, 95%. F1 is weighted by label. Behind en: points behind English. "
    "RankC: consistency with English, the likeliest label ranked first; official: as the authors' code "
    "ranks, the least likely first."
)


def _protocol(protocol: object) -> Markup | None:
    return tag("p", "Protocol ", tag("code", protocol), class_="note") if protocol else None


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


def _rankc_chart(series: Sequence[Series]) -> Markup:
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


def comparison_section(task: str, comparison: TaskComparison) -> Section:
    """A task of a comparison."""
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
        interval_chart(accuracy, title="Accuracy", unit=_UNIT),
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
        _protocol(comparison.protocol),
        charts_row(*charts),
        _comparison_table(task, comparison),
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
        coloured(_WORDS[kind]) if kind in _WORDS else None,
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
        f"{method.resamples:,} resamples, {method.confidence:.0%}; for means a row is drawn in "
        "all languages at once, and nothing is corrected. Points are percentage points. "
    )


def _partial(figures: Mapping[str, LanguageComparison]) -> list[str]:
    """Languages of which the runs have not the same rows."""
    return [
        f"{code}: {figure.rows:,} rows are in both runs and count ({BEFORE} has "
        f"{figure.rows_a:,}, {AFTER} {figure.rows_b:,})."
        for code, figure in figures.items()
        if {figure.rows_a, figure.rows_b} != {figure.rows}
    ]


def verdicts(tasks: Mapping[str, TaskComparison], method: ComparisonMethod) -> Markup:
    """Of every task, which languages got better, which worse, which neither: the answer in a glance."""
    parts = [_verdict(task, comparison) for task, comparison in tasks.items()]
    about = tag("p", _about(method), _ABOUT, class_="note")
    return join(tag("div", *parts, class_="verdicts"), about)


def _verdict(task: str, comparison: TaskComparison) -> Markup:
    by_kind: dict[str, list[Markup]] = {kind: [] for kind in _WORDS}
    figures = comparison.languages
    for code in sorted(figures, key=lambda code: -figures[code].difference):
        figure = figures[code]
        change = tag("span", tag("b", code), " ", points(figure.difference), class_="chip")
        by_kind[verdict(figure.difference, figure.significant)].append(change)
    lines = []
    for kind, chips in by_kind.items():
        mark = tag("svg", verdict_mark(kind), width=20, height=16, aria_hidden="true")
        none = tag("span", "none", class_="faint")
        spaced = [part for chip in chips for part in (chip, " ")]
        lines += [tag("dt", mark, _WORDS[kind], class_=kind), tag("dd", *(spaced or [none]))]
    means = ", ".join(f"{name} {points(m.difference)}" for name, m in comparison.means.items())
    title = tag("a", task, href=f"#task-{task}")
    return tag(
        "div", tag("h3", title), tag("dl", *lines), tag("p", means, " points", class_="note")
    )
