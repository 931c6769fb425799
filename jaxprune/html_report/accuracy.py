"""Sections on a task: accuracy by language with intervals, and the changes between two runs."""

from collections.abc import Mapping, Sequence

from jaxprune.charts import Chart, Estimate, interval_chart, verdict
from jaxprune.evaluation import comparison
from jaxprune.evaluation.metrics_json import LanguageFigures, MetricsFile
from jaxprune.html_report import verdicts
from jaxprune.html_report.markup import Markup, folded, join, note, tag
from jaxprune.html_report.page import Section, charts_row
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.html_report.tables import table
from jaxprune.tables import (
    capitalized,
    count,
    fraction,
    interval,
    number,
    option_shares,
    p_value,
    percent,
    points,
    signed,
)

Series = dict[str, dict[str, Estimate]]  # run → language → estimate


def _percents(value: float, bounds: Sequence[float]) -> Estimate:
    return Estimate(100 * value, 100 * bounds[0], 100 * bounds[1])


# One run.


def task_section(task: str, metrics: MetricsFile, options: int | None) -> Section:
    """Accuracy and RankC of a task whose options are scored; `options` is their number in a row."""
    figures = metrics["languages"]
    accuracy = {c: _percents(one["accuracy"], one["interval"]) for c, one in figures.items()}
    rankc = {code: one.get("rankc", {}) for code, one in figures.items()}
    known = {c: Estimate(one["corrected"]) for c, one in rankc.items() if "corrected" in one}
    charts = _charts({"accuracy": accuracy}, {"RankC": known}, options)
    header = ["language", "rows", "accuracy, %", "95% interval", "", "F1, %", "behind en", "RankC"]
    header += ["RankC official", "probability, %", "chosen, %", "without prior, %"]
    header += ["within groups, %", "within groups, 95%"]
    gaps = metrics.get("gap_to_english", {})
    rows = [
        [
            code,
            figure.get("rows"),
            percent(figure["accuracy"]),
            interval(figure["interval"]),
            "at chance" if verdicts.is_at_chance(figure["interval"], options) else None,
            percent(figure.get("f1")),
            percent(gaps.get(code)),
            fraction(rankc[code].get("corrected")),
            fraction(rankc[code].get("official")),
            percent(figure.get("probability"), 2),
            *cells_without_prior(figure),
        ]
        for code, figure in figures.items()
    ]
    body = join(
        _about_task(metrics.get("protocol"), options),
        charts_row(*charts),
        table(header, rows, caption=f"{task} by language"),
    )
    return Section(f"task-{task}", task, body)


def cells_without_prior(figure: LanguageFigures) -> list[str]:
    """Options chosen, accuracy without the options' priors, discrimination within groups and its interval."""
    return [
        option_shares(figure.get("chosen")),
        percent(figure.get("accuracy_without_prior")),
        percent(figure.get("discrimination")),
        interval(figure.get("discrimination_interval")),
    ]


ABOUT_PRIORS = (
    "Chosen: share of the rows by option. Without prior: accuracy after the mean score of each option is subtracted. "
    "Within groups, such as the hypotheses of a premise: how often the right option of a row is preferred to the same "
    "option in the other rows; chance is 50%."
)
_ABOUT = (
    "Intervals of accuracy are Wilson's, 95%. At chance: the interval (of the run before) contains 1/options. "
    "F1 is weighted by label. "
    "Behind en: points behind English. RankC: consistency with English, the likeliest label ranked first; official: "
    "the least likely first, as in the authors' code. A rise of RankC by itself is not an improvement: a model may "
    "agree with English and be wrong in both. Probability: of the right option, softmax of the scores of a row's "
    f"options. {ABOUT_PRIORS}"
)


def _terms(*first: str) -> Markup:
    """The method and the columns of the tables, folded."""
    return folded("method and terms", note(*first, _ABOUT))


def _about_task(protocol: object, options: int | None) -> Markup | None:
    """The protocol of the task, and chance."""
    parts: list[object] = ["Protocol ", tag("code", protocol), ". "] if protocol else []
    if options:
        parts.append(f"Chance with {options} options: {percent(1 / options)}% (dashed line).")
    return note(*parts) if parts else None


def _charts(accuracy: Series, rankc: Series, options: int | None) -> list[Chart]:
    """Accuracy, and RankC if a language has a value."""
    chance = ("chance", 100 / options) if options else None
    charts = [interval_chart(accuracy, title="Accuracy", unit="accuracy, %", reference=chance)]
    if any(rankc.values()):
        charts.append(interval_chart(rankc, title="Consistency with English", unit="RankC"))
    return charts


def task_lines(scored: Mapping[str, MetricsFile]) -> Markup:
    """Means and the worst language of every task of a run."""
    rows = []
    for task, metrics in scored.items():
        means = (percent(metrics.get("mean")), percent(metrics.get("mean_non_english")))
        worst = metrics.get("worst")
        lowest = f"{worst['language']} {percent(worst['accuracy'])}" if worst else None
        rows.append([task, *means, lowest])
    header = ["task", "mean accuracy, %", "mean non-en, %", "worst language, %"]
    return join(table(header, rows, caption="means of every task"), _terms())


# Two runs.


def comparison_section(
    task: str, compared: comparison.TaskComparison, options: int | None
) -> Section:
    """A task of a comparison; `options` is the number of options of a row."""
    accuracy: Series = {BEFORE: {}, AFTER: {}}
    rankc: Series = {BEFORE: {}, AFTER: {}}
    for code, one in compared.languages.items():
        for run, share, bounds in zip(accuracy, one.accuracy, one.accuracy_interval, strict=True):
            accuracy[run][code] = _percents(share, bounds)
        for run, side in zip(rankc, one.rankc or (), strict=False):
            rankc[run][code] = Estimate(side.corrected)
    kinds = {n: verdicts.of_accuracy(one, options) for n, one in compared.figures.items()}
    changes = {
        # the change of a model that was at chance is not significant; that of a mean is not tested
        name: Estimate(
            one.difference,
            *one.interval,
            verdict(one.difference, one.significant and kinds[name] != "chance"),
        ).scaled(100)
        for name, one in compared.figures.items()
    }
    measures = [
        join(
            tag("h3", capitalized(title)),
            table(["language", *header[1:]], rows, caption=f"{task}: {title}"),
        )
        for title, header, rows in comparison.measure_tables(compared, (BEFORE, AFTER), "points")
    ]
    unit = f"points, {AFTER} \N{MINUS SIGN} {BEFORE}"
    change = interval_chart(
        {"": changes},
        title="Change in accuracy",
        unit=unit,
        reference=("unchanged", 0.0),
        show=signed,
    )
    body = join(
        _about_task(compared.protocol, options),
        charts_row(change, *_charts(accuracy, rankc, options)),
        _comparison_table(task, compared, kinds),
        *measures,
        *map(note, comparison.partial_notes(compared, BEFORE, AFTER)),
        *map(note, comparison.vanished(compared)),
    )
    return Section(f"task-{task}", task, body)


def _comparison_table(
    task: str, compared: comparison.TaskComparison, kinds: Mapping[str, str]
) -> Markup:
    two = [BEFORE, AFTER]
    header = ["language", *two, "points", "95% interval", "", "Holm", "McNemar", "bootstrap"]
    header += [*two, *two, *two, *two, "rows"]
    groups = [("", 1), ("accuracy, %", 2), ("change", 3), ("p", 3), ("RankC", 2)]
    groups += [("behind en", 2), ("F1, %", 2), ("RankC official", 2), ("", 1)]
    rows = []
    for name, figure in compared.figures.items():
        before, after, change, bounds, bootstrap = comparison.change_cells(figure)
        corrected, official = comparison.rankc_cells(figure)
        rows.append([
            name,
            before,
            after,
            tag("span", change, class_=kinds[name]),
            bounds,
            verdicts.word(kinds[name]) if name in compared.languages else None,
            p_value(figure.p.holm),
            p_value(figure.p.mcnemar),
            bootstrap,
            *corrected,
            *comparison.percent_cells(figure.gap_to_english),
            *comparison.percent_cells(figure.f1),
            *official,
            figure.rows,
        ])  # fmt: skip
    return table(header, rows, caption=f"{task}: changes by language", groups=groups)


def _about(method: comparison.ComparisonMethod) -> str:
    return (
        f"Better and worse are significant: {method.significant}, p at most {method.alpha}. The "
        "interval and the bootstrap's p of a change: paired bootstrap over rows, or groups of rows where the task has "
        f"them, {count(method.resamples)} resamples, {method.confidence:.0%}, each drawn in all languages of a mean "
        "at once; p values of means are not corrected. Points are percentage points. "
    )


def changes(compared: comparison.Comparison, options: Mapping[str, int]) -> Markup:
    """The languages of every task by verdict.

    Args:
      compared: of two runs.
      options: number of options of a row by task, where known.
    """
    parts = [_verdict(task, one, options.get(task)) for task, one in compared.tasks.items()]
    if compared.perplexity:
        parts.append(_perplexities(compared.perplexity))
    about = _terms(_about(compared.method)) if compared.tasks else None
    return join(tag("div", *parts, class_="verdicts"), about)


def _perplexities(by_language: Mapping[str, comparison.PerplexityComparison]) -> Markup:
    """Perplexity of every language after over before by verdict, the greatest ratio first."""
    chips = []
    for code in sorted(by_language, key=lambda code: -by_language[code].ratio):
        figure = by_language[code]
        ratio = f" × {fraction(figure.ratio)}"
        ratio += f" {interval(figure.interval, fraction)}" if figure.interval else ""
        title = " → ".join(map(number, figure.perplexity))
        chip = tag("span", tag("b", code), ratio, class_="chip", title=title)
        chips.append((verdicts.of_perplexity(figure), chip))
    text = f"{AFTER} over {BEFORE} with its 95% interval; lower is better"
    return verdicts.by_verdict("Perplexity", "perplexity", chips, text)


def _verdict(task: str, compared: comparison.TaskComparison, options: int | None) -> Markup:
    chips = []
    figures = compared.languages
    for code in sorted(figures, key=lambda code: -figures[code].difference):
        figure = figures[code]
        chip = tag("span", tag("b", code), " ", points(figure.difference), class_="chip")
        chips.append((verdicts.of_accuracy(figure, options), chip))
    means = ", ".join(f"{name} {points(m.difference)}" for name, m in compared.means.items())
    chance = f"; chance is {percent(1 / options)}%" if options else ""
    return verdicts.by_verdict(task, f"task-{task}", chips, f"{means} points{chance}")
