"""Sections on a task: accuracy by language with intervals, and what changed between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.charts import (
    VERDICTS,
    Change,
    Chart,
    Estimate,
    Series,
    change_chart,
    interval_chart,
    number,
    verdict,
)
from jaxprune.html_report.figure import charts_row, verdict_mark
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.html_report.tables import p_value, percent, point_interval, points, table

_TESTED = ("better", "worse", "unclear")
_UNIT = "accuracy, %"


def _percents(value: float, bounds: Sequence[float]) -> Estimate:
    return Estimate(100 * value, 100 * bounds[0], 100 * bounds[1])


# One run.


def task_section(task: str, metrics: Mapping[str, Any], options: int | None) -> Section:
    """Accuracy and RankC of a task that is scored (`files.is_scored`), whose rows have so many options."""
    figures = metrics["languages"]
    accuracy = {
        code: _percents(figure["accuracy"], figure["interval"]) for code, figure in figures.items()
    }
    series = [Series("accuracy", accuracy)]
    charts = [interval_chart(series, title="Accuracy", unit=_UNIT, chance=_chance(options))]
    if consistency := _consistency("RankC", figures):
        charts.append(_rankc_chart([consistency]))
    header = ["language", "rows", "accuracy, %", "95% interval", "F1, %", "behind en", "RankC"]
    header.append("RankC official")
    gaps = metrics.get("gap_to_english") or {}
    rows = [
        [
            code,
            figure.get("rows"),
            percent(figure["accuracy"]),
            "[{}, {}]".format(*map(percent, figure["interval"])),
            percent(figure.get("f1")),
            percent(gaps.get(code)),
            *(_three(_rankc(figure, kind)) for kind in ("corrected", "official")),
        ]
        for code, figure in figures.items()
    ]
    body = join(
        _about_task(metrics.get("protocol"), options),
        charts_row(*charts),
        table(header, rows, caption=f"{task} by language"),
    )
    return Section(f"task-{task}", task, body)


_ABOUT = (
    "Intervals of accuracy are Wilson's, 95%. F1 is weighted by label. Behind en: points behind English. "
    "RankC: consistency with English, the likeliest label ranked first; official: as the authors' code "
    "ranks, the least likely first."
)


def _about_task(protocol: object, options: int | None) -> Markup | None:
    """How it was asked, and what guessing reaches."""
    parts: list[object] = ["Protocol ", tag("code", protocol), ". "] if protocol else []
    if (chance := _chance(options)) is not None:
        parts.append(f"Chance, one of {options} options: {chance:.1f}%, the dashed line.")
    return tag("p", *parts, class_="note") if parts else None


def _chance(options: int | None) -> float | None:
    """Percent of rows that guessing gets right."""
    return 100 / options if options else None


def _rankc(figure: Mapping[str, Any], kind: str) -> float | None:
    return (figure.get("rankc") or {}).get(kind)


def _three(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"


def _consistency(name: str, figures: Mapping[str, Mapping[str, Any]]) -> Series | None:
    values = {code: _rankc(figure, "corrected") for code, figure in figures.items()}
    found = {code: Estimate(value) for code, value in values.items() if value is not None}
    return Series(name, found) if found else None


def _rankc_chart(series: Sequence[Series]) -> Chart:
    return interval_chart(series, title="Consistency with English", unit="RankC")


def task_lines(scored: Mapping[str, Mapping[str, Any]]) -> Markup:
    """Of every task of a run: means and the worst language."""
    rows = [
        [
            task,
            percent(found.get("mean")),
            percent(found.get("mean_non_english")),
            _worst(found.get("worst")),
        ]
        for task, found in scored.items()
    ]
    header = ["task", "mean accuracy, %", "mean non-en, %", "worst language, %"]
    means = table(header, rows, caption="means of every task")
    return join(means, tag("p", _ABOUT, class_="note"))


def _worst(found: Mapping[str, Any] | None) -> str | None:
    return f"{found['language']} {percent(found['accuracy'])}" if found else None


# Two runs.


def comparison_section(task: str, found: Mapping[str, Any], options: int | None) -> Section:
    """A task of what `compare_runs` returns, whose rows have so many options."""
    figures = found["languages"]
    sides = ((BEFORE, "a"), (AFTER, "b"))
    accuracy = [
        Series(name, {
            code: _percents(figure["accuracy"][side], figure["accuracy_interval"][side])
            for code, figure in figures.items()
        })
        for name, side in sides
    ]  # fmt: skip
    unit = f"points, {AFTER} \N{MINUS SIGN} {BEFORE}"
    charts = [
        change_chart(_changes(found), title="Change in accuracy", unit=unit),
        interval_chart(accuracy, title="Accuracy", unit=_UNIT, chance=_chance(options)),
    ]
    of_side = {
        name: {
            code: {"rankc": (figure["rankc"] or {}).get(side)} for code, figure in figures.items()
        }
        for name, side in sides
    }
    consistency = [one for name in of_side if (one := _consistency(name, of_side[name]))]
    if consistency:
        charts.append(_rankc_chart(consistency))
    body = join(
        _about_task(found.get("protocol"), options),
        charts_row(*charts),
        _comparison_table(task, found),
        *(tag("p", note, class_="note") for note in _partial(figures)),
    )
    return Section(f"task-{task}", task, body)


def _changes(found: Mapping[str, Any]) -> list[Change]:
    rows = [(code, figure, figure["significant"]) for code, figure in found["languages"].items()]
    rows += [(name, figure, None) for name, figure in _means(found)]
    changes = []
    for name, figure, real in rows:
        low, high = (100 * bound for bound in figure["interval"])
        changes.append(Change(name, 100 * figure["difference"], low, high, real))
    return changes


def _means(found: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    means = (("mean", found["mean"]), ("mean non-en", found["mean_non_english"]))
    return [(name, figure) for name, figure in means if figure]


def _comparison_table(task: str, found: Mapping[str, Any]) -> Markup:
    two = [BEFORE, AFTER]
    header = ["language", *two, "points", "95% interval", "", "Holm", "McNemar", "bootstrap"]
    header += [*two, *two, *two, *two, "rows"]
    groups = [("", 1), ("accuracy, %", 2), ("change", 3), ("p", 3), ("RankC", 2)]
    groups += [("behind en", 2), ("F1, %", 2), ("RankC official", 2), ("", 1)]
    rows = [_comparison_row(code, figure) for code, figure in found["languages"].items()]
    rows += [_comparison_row(name, figure) for name, figure in _means(found)]
    return table(header, rows, caption=f"{task}: what changed by language", groups=groups)


def _comparison_row(name: str, figure: Mapping[str, Any]) -> list[object]:
    p, none = figure["p"], {"a": None, "b": None}
    gap, f1, rankc = (figure.get(key) or none for key in ("gap_to_english", "f1", "rankc"))
    kind = verdict(figure["difference"], figure.get("significant"))

    def coloured(text: str | None) -> Markup:
        return tag("span", text, class_=kind)

    def both(kind: str) -> list[str | None]:
        return [_three((rankc[side] or {}).get(kind)) for side in "ab"]

    return [
        name,
        *(percent(figure["accuracy"][side]) for side in "ab"),
        coloured(points(figure["difference"])),
        point_interval(figure["interval"]),
        coloured(VERDICTS[kind].word) if kind in _TESTED else None,
        *(p_value(p.get(test)) for test in ("holm", "mcnemar", "bootstrap")),
        *both("corrected"),
        *(percent(gap[side]) for side in "ab"),
        *(percent(f1[side]) for side in "ab"),
        *both("official"),
        figure.get("rows"),
    ]


def _about(method: Mapping[str, Any]) -> str:
    return (
        f"Better and worse are significant: {method['significant']}, p at most {method['alpha']}. The "
        f"interval and the bootstrap's p of a change: paired bootstrap over rows, "
        f"{method['resamples']:,} resamples, {method['confidence']:.0%}; for means a row is drawn in "
        "all languages at once, and nothing is corrected. Points are percentage points. "
    )


def _partial(figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Languages of which the runs have not the same rows."""
    return [
        f"{code}: {figure['rows']:,} rows are in both runs and count ({BEFORE} has "
        f"{figure['rows_a']:,}, {AFTER} {figure['rows_b']:,})."
        for code, figure in figures.items()
        if {figure["rows_a"], figure["rows_b"]} != {figure["rows"]}
    ]


def verdicts(
    tasks: Mapping[str, Mapping[str, Any]],
    options: Mapping[str, int],
    perplexity: Mapping[str, Any] | None,
    method: Mapping[str, Any],
) -> Markup:
    """Of every task, which languages got better, which worse, which neither: the answer in a glance.

    Args:
      tasks: of what `compare_runs` returns.
      options: of a row, by task, where they are known.
      perplexity: of what `compare_runs` returns.
      method: of what `compare_runs` returns.
    """
    parts = [_verdict(task, found, options.get(task)) for task, found in tasks.items()]
    if perplexity:
        parts.append(_perplexities(perplexity))
    about = tag("p", _about(method), _ABOUT, class_="note") if tasks else None
    return join(tag("div", *parts, class_="verdicts"), about)


def _perplexities(perplexity: Mapping[str, Any]) -> Markup:
    """Perplexity of every language after over before, the greatest first."""
    codes = sorted(perplexity, key=lambda code: -perplexity[code]["ratio"])
    chips = []
    for code in codes:
        before, after = perplexity[code]["perplexity"].values()
        ratio = f" × {perplexity[code]['ratio']:.2f}"
        title = f"{number(before)} → {number(after)}"
        chips += [tag("span", tag("b", code), ratio, class_="chip", title=title), " "]
    title = tag("a", "Perplexity", href="#perplexity")
    note = tag("p", f"{AFTER} over {BEFORE}: above 1 the texts became less likely", class_="note")
    return tag("div", tag("h3", title), tag("p", *chips), note)


def _verdict(task: str, found: Mapping[str, Any], options: int | None) -> Markup:
    by_kind: dict[str, list[Markup]] = {kind: [] for kind in _TESTED}
    figures = found["languages"]
    for code in sorted(figures, key=lambda code: -figures[code]["difference"]):
        figure = figures[code]
        change = tag("span", tag("b", code), " ", points(figure["difference"]), class_="chip")
        by_kind[verdict(figure["difference"], figure["significant"])].append(change)
    lines = []
    for kind, chips in by_kind.items():
        none = tag("span", "none", class_="faint")
        spaced = [part for chip in chips for part in (chip, " ")]
        lines += [
            tag("dt", verdict_mark(kind), VERDICTS[kind].word, class_=kind),
            tag("dd", *(spaced or [none])),
        ]
    means = ", ".join(f"{name} {points(figure['difference'])}" for name, figure in _means(found))
    chance = _chance(options)
    note = f"{means} points" + ("" if chance is None else f"; chance is {chance:.1f}%")
    title = tag("a", task, href=f"#task-{task}")
    return tag("div", tag("h3", title), tag("dl", *lines), tag("p", note, class_="note"))
