"""Measurements of one run → tables of text."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxprune.base.text import Table, count, percent
from jaxprune.evaluation.figures import by_key, chosen_shares, figure_cell
from jaxprune.evaluation.measurements import MEASURES, Measurement
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.evaluation.translation.results import TRANSLATION

# Explanation of the tables.
ABOUT_MEASURES = (
    "Intervals of accuracy are Wilson's, 95%. At chance: the interval contains 1/options. Behind en, gap to en: "
    "points behind English. F1 is weighted by label. RankC: consistency with English; a rise by itself is no "
    "improvement: a model may agree with English and be wrong in both. Probability of the right option: softmax "
    "of the scores of a row's options, mean over rows. Chosen: share of the rows by option. Without the options' "
    "priors: the mean score of each option is subtracted. Within groups, such as the hypotheses of a premise: how "
    "often the right option of a row is preferred to the same option in the other rows, 50% by chance; contrast: "
    "by how much."
)


def evaluation_tables(
    measurements: Sequence[Measurement], facts: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """A table of each task, text and translation of a run, with a column for each measure.

    Args:
      measurements: measurements of the run.
      facts: the content of evaluation.json by task.
    """
    figures, tables = by_key(measurements), list[Table]()
    for task in dict.fromkeys(row.task for row in measurements):
        task_rows = [row for row in measurements if row.task == task]
        codes = dict.fromkeys(row.language for row in task_rows)
        measures = [name for name in MEASURES if any(row.measure == name for row in task_rows)]
        run, rows = task_rows[0].run, []
        for code in codes:
            n = next(row.n for row in task_rows if row.language == code)
            cells = [figure_cell(figures, (run, task, code, measure)) for measure in measures]
            rows.append([code, count(n), *cells, chosen_shares(figures, run, task, code)])
        header = ["language", _UNITS.get(task, "rows"), *(MEASURES[m].column for m in measures)]
        if task in _UNITS:
            rows = [row[:-1] for row in rows]
        else:
            header.append("chosen %")
        note = accuracy_summary(task_rows) or overlap_note(facts[task]) or ""
        tables.append(Table(_title(task, facts[task]), header, rows, note=note))
    return tables


# The unit of `n` where it is not a row of a task.
_UNITS = {PERPLEXITY: "tokens", TRANSLATION: "sentences"}


def accuracy_summary(rows: Sequence[Measurement]) -> str:
    """The means of the accuracies of a run, in percent, and the worst language; empty without any."""
    accuracies = {row.language: row for row in rows if row.measure == "accuracy"}
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
