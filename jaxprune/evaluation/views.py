"""Measurements and changes → tables of text, the same for terminals, Markdown, pages, cards and notebooks."""

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from jaxprune.base.text import (
    NONE,
    VERDICTS,
    Cell,
    Table,
    count,
    fraction,
    interval,
    p_value,
    percent,
    points,
    signed,
    times,
)
from jaxprune.evaluation.changes import FEWEST_PARTS, MEAN, MEAN_NON_ENGLISH, Change
from jaxprune.evaluation.measurements import MEASURES, Measurement
from jaxprune.evaluation.scoring.metrics import ALPHA, CONFIDENCE, RESAMPLES
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION

Row = TypeVar("Row", Measurement, Change)
Figures = Mapping[tuple[str, str, str, str], Measurement]  # by run, task, language and measure

# Explanation of the tables of one run, and of the tables of a comparison.
ABOUT_MEASURES = (
    "Intervals of accuracy are Wilson's, 95%. At chance: the interval contains 1/options. Behind en, gap to en: "
    "points behind English. F1 is weighted by label. RankC: consistency with English; a rise by itself is no "
    "improvement: a model may agree with English and be wrong in both. Probability of the right option: softmax "
    "of the scores of a row's options, mean over rows. Chosen: share of the rows by option. Without the options' "
    "priors: the mean score of each option is subtracted. Within groups, such as the hypotheses of a premise: how "
    "often the right option of a row is preferred to the same option in the other rows, 50% by chance; contrast: "
    "by how much."
)
ABOUT_CHANGES = (
    f"Changes are in points; of perplexities and bits per byte they are ratios. Their {CONFIDENCE:.0%} "
    "intervals: paired bootstrap over rows, or over groups of rows if the task has groups "
    f"({count(RESAMPLES)} resamples, drawn jointly in all languages of a mean); of perplexity: Student's interval "
    "over parts of the text. p: of accuracy in a language McNemar's exact test, of translations sacrebleu's paired "
    "bootstrap, otherwise that of the interval. p Holm: p after Holm's correction over the languages of the task; "
    f"better and worse: at most {ALPHA}. Other measures are not corrected for multiple tests."
)


# Figures as text.


def show_value(measure: str, value: float) -> str:
    """A figure in the unit of its tables: percent of a share, two decimals of a perplexity."""
    scale, digits = MEASURES[measure].scale, MEASURES[measure].digits
    if scale == "ratio" and value >= 1e6:
        return f"{value:.0e}"
    shown = percent if scale == "share" else lambda v, d: f"{v:,.{d}f}"
    return shown(value, digits)


def show_difference(measure: str, difference: float) -> str:
    """The change of a measure: points of a share, the ratio to the base of a perplexity."""
    scale, digits = MEASURES[measure].scale, MEASURES[measure].digits
    if scale == "ratio":
        return ratio(1 + difference)
    return points(difference, digits) if scale == "share" else signed(difference, digits)


def ratio(value: float) -> str:
    """A ratio to the base: 1.234, 250, 2e+05."""
    return fraction(value) if value < 100 else times(value)


def show_bounds(row: Change | Measurement) -> str:
    """The interval of a change, or of a figure."""
    if row.low is None or row.high is None:
        return NONE
    if isinstance(row, Measurement):
        return interval((row.low, row.high))
    return interval((row.low, row.high), functools.partial(show_difference, row.measure))


def verdict(change: Change, chance: bool = False) -> str:
    """The key of `VERDICTS`: of accuracy and BLEU by p_holm, of perplexity on enough text by the interval of the ratio.

    Args:
      chance: whether the base is at chance.
    """
    if change.parts is not None and change.parts < FEWEST_PARTS:
        return "few"
    if change.measure == "perplexity" and change.low is not None and change.high is not None:
        return "worse" if change.low > 0 else "better" if change.high < 0 else "unclear"
    if change.p_holm is None:
        return "untested"
    if chance:
        return "chance"
    if change.p_holm > ALPHA:
        return "unclear"
    return "better" if change.difference > 0 else "worse"


def change_kind(figures: Figures, change: Change) -> str:
    """The verdict of a change, given the figures of its base."""
    base, task, code = change.base, change.task, change.language
    accuracy = figures.get((base, task, code, "accuracy"))
    options = options_of(figures, base, task, code)
    return verdict(change, accuracy is not None and at_chance(accuracy, options))


def at_chance(accuracy: Measurement, options: int) -> bool:
    """Whether the interval of an accuracy contains 1 / options."""
    low, high = accuracy.low, accuracy.high
    return bool(options) and low is not None and high is not None and low <= 1 / options <= high


def by_key(rows: Iterable[Row]) -> dict[tuple[str, str, str, str], Row]:
    """Measurements, or changes, by run, task, language and measure."""
    return {(row.run, row.task, row.language, row.measure): row for row in rows}


def figures_and_means(measurements: Sequence[Measurement], changes: Sequence[Change]) -> Figures:
    """The measurements of all runs, and the means of the base over languages, which only changes have."""
    means = (
        Measurement(
            row.base, "", row.task, row.language, row.measure, row.base_value, None, None, row.n
        )
        for row in changes
    )
    return by_key(means) | by_key(measurements)


def options_of(figures: Figures, run: str, task: str, code: str) -> int:
    """The number of options of a row; 0 if it is not known."""
    option = 0
    while (run, task, code, f"chosen_{option}") in figures:
        option += 1
    return option


def _chosen(figures: Figures, run: str, task: str, code: str) -> str:
    shares = [
        figures[run, task, code, f"chosen_{option}"].value
        for option in range(options_of(figures, run, task, code))
    ]
    return "/".join(percent(share, 0) for share in shares) or NONE


# One run.


def evaluation_tables(
    measurements: Sequence[Measurement], facts: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """A table of each task, text and translation of a run, with a column for each measure.

    Args:
      measurements: of the run.
      facts: by task the content of evaluation.json.
    """
    figures, tables = by_key(measurements), list[Table]()
    for task in dict.fromkeys(row.task for row in measurements):
        of_task = [row for row in measurements if row.task == task]
        codes = dict.fromkeys(row.language for row in of_task)
        measures = [name for name in MEASURES if any(row.measure == name for row in of_task)]
        run, rows = of_task[0].run, []
        for code in codes:
            n = next(row.n for row in of_task if row.language == code)
            cells = [figure_cell(figures, (run, task, code, measure)) for measure in measures]
            rows.append([code, count(n), *cells, _chosen(figures, run, task, code)])
        header = ["language", _UNITS.get(task, "rows"), *(MEASURES[m].column for m in measures)]
        if task in _UNITS:
            rows = [row[:-1] for row in rows]
        else:
            header.append("chosen %")
        note = accuracy_summary(of_task) or overlap_note(facts[task]) or ""
        tables.append(Table(_title(task, facts[task]), header, rows, note=note))
    return tables


# The unit of `n` where it is not a row of a task.
_UNITS = {PERPLEXITY: "tokens", TRANSLATION: "sentences"}


def figure_cell(figures: Figures, key: tuple[str, str, str, str]) -> str:
    """As "74.1 [71.3, 76.7]"; an accuracy at chance says so."""
    row = figures.get(key)
    if row is None:
        return NONE
    bounds = "" if row.low is None else f" {show_bounds(row)}"
    shown = show_value(row.measure, row.value) + bounds
    if row.measure == "accuracy" and at_chance(row, options_of(figures, *key[:3])):
        return Cell(f"{shown} at chance", "chance")
    return shown


def accuracy_summary(of_task: Sequence[Measurement]) -> str:
    """The means of the accuracies of a run, in percent, and the worst language; empty without any."""
    accuracies = {row.language: row for row in of_task if row.measure == "accuracy"}
    if not accuracies:
        return ""
    values = [row.value for row in accuracies.values()]
    summary = f"mean {percent(sum(values) / len(values))}"
    if others := [row.value for code, row in accuracies.items() if code != "en"]:
        summary += f", without English {percent(sum(others) / len(others))}"
    worst = min(accuracies.values(), key=lambda row: row.value)
    return f"{summary}; worst language {worst.language}, {percent(worst.value)}"


def _title(task: str, facts: Mapping[str, Any]) -> str:
    protocol = facts.get("protocol")
    if task == TRANSLATION and protocol:
        return f"translation into {protocol['target']}, {protocol['shots']} shots"
    return f"{task}, protocol {protocol}" if protocol else task


def overlap_note(facts: Mapping[str, Any]) -> str | None:
    """A sentence on lines of the calibration set in the text of a perplexity; None without any."""
    if not (shared := facts.get("calibration_overlap")):
        return None
    lines = ", ".join(f"{count(number)} ({code})" for code, number in shared.items())
    return (
        f"The calibration set contains lines of the text that perplexity is measured on: {lines}."
    )


# Several runs.


def comparison_tables(
    names: Sequence[str], measurements: Sequence[Measurement], changes: Sequence[Change]
) -> list[Table]:
    """The tables of a comparison: an overview of more than two runs, then each run against the base.

    Args:
      names: of the runs, the base first.
      measurements: of all runs.
      changes: of all runs but the base.
    """
    base, *others = names
    figures, tables = by_key(measurements), list[Table]()
    if len(others) > 1:
        labels = {name: [name] for name in names}
        tables += overview_tables(labels, measurements, changes)
    for run in others:
        rows, of_run = [row for row in changes if row.run == run], list[Table]()
        for task in dict.fromkeys(row.task for row in rows):
            of_task = [row for row in rows if row.task == task]
            for measure in dict.fromkeys(row.measure for row in of_task):
                of_measure = [row for row in of_task if row.measure == measure]
                of_run.append(_change_table(figures, of_measure))
            if task not in (PERPLEXITY, TRANSLATION):
                tested = {row.measure for row in of_task}
                of_run.append(_pair_table(figures, (base, run), task, tested))
        against = f", {run} against {base}" if len(others) > 1 else ""
        tables += [table._replace(title=f"{table.title}{against}") for table in of_run]
    return tables


def _change_table(figures: Figures, rows: Sequence[Change]) -> Table:
    """Both values, the change, its interval and its p by language, with a verdict of what is corrected."""
    first = rows[0]
    run, base, task, measure = first.run, first.base, first.task, first.measure
    unit = "ratio" if MEASURES[measure].scale == "ratio" else "change"
    title, tested = f"{task}: {MEASURES[measure].title}", any(row.p is not None for row in rows)
    corrected = any(row.p_holm is not None for row in rows)
    said = corrected or measure == "perplexity"
    header = ["language", "n", base, run, unit, "95% interval", *["p"] * tested]
    header += [*["p Holm"] * corrected, *[""] * said]
    lines = []
    for row in rows:
        kind = change_kind(figures, row)
        shown = show_difference(measure, row.difference)
        lines.append([
            row.language, count(row.n), show_value(measure, row.base_value),
            show_value(measure, row.value), Cell(shown, kind) if said else shown,
            show_bounds(row), *[p_value(row.p)] * tested,
            *[p_value(row.p_holm)] * corrected,
            *[Cell(VERDICTS[kind] if kind != "untested" else "", kind)] * said,
        ])  # fmt: skip
    return Table(title, header, lines)


def _pair_table(
    figures: Figures, runs: tuple[str, str], task: str, tested: Collection[str]
) -> Table:
    """The figures of both runs that are not tested."""
    known = {measure for run, of, _, measure in figures if (run, of) == (runs[1], task)}
    measures = [name for name in MEASURES if name in known and name not in tested]
    codes = [code for run, of, code, name in figures if (run, of, name) == (runs[1], task, "f1")]
    rows = [
        [
            code,
            *(figure_cell(figures, (run, task, code, name)) for name in measures for run in runs),
            *(_chosen(figures, run, task, code) for run in runs),
        ]
        for code in codes
    ]
    columns = [*(MEASURES[name].column for name in measures), "chosen %"]
    header = ["language", *(f"{column} {run}" for column in columns for run in runs)]
    return Table(f"{task}: other figures", header, rows)


def overview_tables(
    labels: Mapping[str, Sequence[str]],
    measurements: Sequence[Measurement],
    changes: Sequence[Change],
    label_names: Sequence[str] = ("run",),
) -> list[Table]:
    """A table for each measure, with a row for each run and a column for each language.

    Args:
      labels: cells in front of the row of each run, the base first.
      measurements: of all runs.
      changes: of all runs but the base.
      label_names: titles of the labels.
    """
    keyed = {(row.run, row.task, row.language, row.measure): row for row in changes}
    of_base = {(row.task, row.language, row.measure): row.base_value for row in changes}
    figures, tables, base = by_key(measurements), list[Table](), next(iter(labels))
    for task in dict.fromkeys(row.task for row in measurements):
        languages = dict.fromkeys(row.language for row in changes if row.task == task)
        for measure in MEASURES:
            known = {name for name, of, _, m in figures if (of, m) == (task, measure)}
            if not known:
                continue
            mean = (task, MEAN_NON_ENGLISH, measure)
            without = {MEAN} if mean in of_base else {MEAN, MEAN_NON_ENGLISH}
            codes = [code for code in languages if code not in without]
            rows = [
                [
                    *labels[name],
                    *(
                        show_value(measure, of_base[mean])
                        if (name, code) == (base, MEAN_NON_ENGLISH)
                        else overview_cell(figures.get(key), keyed.get(key))
                        for code in codes
                        for key in [(name, task, code, measure)]
                    ),
                ]
                for name in labels
                if name in known
            ]
            if rows:
                title = f"{task}: {MEASURES[measure].title}"
                tables.append(Table(title, [*label_names, *codes], rows))
    return tables


def overview_cell(figure: Measurement | None, change: Change | None) -> str:
    """As "74.1 (+0.9 [−0.4, +2.2])*": the value, and its change against the base; a star if it is significant."""
    if change is None:
        return NONE if figure is None else show_value(figure.measure, figure.value)
    measure, kind = change.measure, verdict(change)
    sign = "×" if MEASURES[measure].scale == "ratio" else ""
    bounds = "" if change.low is None else f" {show_bounds(change)}"
    star = "*" if change.p_holm is not None and change.p_holm <= ALPHA else ""
    end = " too little text" if kind == "few" else star
    shown = show_value(measure, change.value)
    return Cell(f"{shown} ({sign}{show_difference(measure, change.difference)}{bounds}){end}", kind)


def conclusion(changes: Sequence[Change], measurements: Sequence[Measurement]) -> str:
    """A sentence for each run: what it is significantly better and worse in, and its perplexity.

    Args:
      changes: of all runs but the base.
      measurements: of all runs, from which languages are known in which the base is at chance.
    """
    figures, sentences = by_key(measurements), []
    for run in dict.fromkeys(row.run for row in changes):
        rows = [row for row in changes if row.run == run]
        tested = [row for row in rows if row.p_holm is not None]
        by_kind: dict[str, list[Change]] = {}
        for row in tested:
            by_kind.setdefault(change_kind(figures, row), []).append(row)
        parts = [
            f"{kind} in {', '.join(map(_named, by_kind[kind]))}"
            for kind in ("better", "worse")
            if kind in by_kind
        ]
        if "unclear" in by_kind and not parts:
            parts = [f"no significant change in {len(by_kind['unclear'])} comparisons"]
        if without := by_kind.get("chance"):
            where = ", ".join(f"{row.task} {row.language}" for row in without)
            parts.append(f"no conclusion in {where}, where {rows[0].base} is at chance")
        if ratios := [1 + row.difference for row in rows if row.measure == "perplexity"]:
            least, most = ratio(min(ratios)), ratio(max(ratios))
            parts.append(f"perplexity ×{least}" + (f" to ×{most}" if most != least else ""))
        if parts:
            sentences.append(f"{run} against {rows[0].base}: {'; '.join(parts)}.")
    return " ".join(sentences)


def _named(change: Change) -> str:
    """As "xnli fr (+0.9)"."""
    return f"{change.task} {change.language} ({show_difference(change.measure, change.difference)})"
