"""Measurements and changes → charts of a task by language."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxprune.base.text import signed
from jaxprune.evaluation.changes import Change
from jaxprune.evaluation.figures import by_key, change_kind, options_of, ratio
from jaxprune.evaluation.measurements import Measurement
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.heatmap import DIVERGING, heatmap
from jaxprune.report.charts.rows import Estimate, interval_chart

# More runs than there are colours are a map, without intervals.
_MOST_RUNS = 6


def accuracy_charts(measurements: Sequence[Measurement], task: str) -> list[Chart]:
    """Accuracy of up to six runs with its intervals, and chance; none of perplexity and translations."""
    figures, series, options = by_key(measurements), dict[str, dict[str, Estimate]](), set[int]()
    for (run, name, code, measure), row in figures.items():
        if (name, measure) == (task, "accuracy"):
            series.setdefault(run, {})[code] = Estimate(row.value, row.low, row.high).scaled(100)
            options.add(options_of(figures, run, task, code))
    if not 0 < len(series) <= _MOST_RUNS:
        return []
    count = options.pop() if len(options) == 1 else 0
    chance = ("chance", 100 / count) if count else None
    return [interval_chart(series, title="Accuracy", unit="accuracy, %", reference=chance)]


def change_charts(
    measurements: Sequence[Measurement], changes: Sequence[Change], task: str
) -> list[Chart]:
    """Changes of accuracy in points, or ratios of perplexities on a log axis; none of translations.

    Args:
      measurements: measurements of all runs, which show in which languages the base is at chance.
      changes: changes of all runs but the base.
      task: name of the task.
    """
    figures, is_ratio = by_key(measurements), task == PERPLEXITY
    measure = "perplexity" if is_ratio else "accuracy"
    series: dict[str, dict[str, Estimate]] = {}
    for row in changes:
        if (row.task, row.measure) == (task, measure):
            estimate = Estimate(row.difference, row.low, row.high, change_kind(figures, row))
            shown = _ratio(estimate) if is_ratio else estimate.scaled(100)
            series.setdefault(row.run, {})[row.language] = shown
    if not series:
        return []
    looks: dict[str, Any] = {"log": True, "show": ratio} if is_ratio else {"show": signed}
    looks["title"] = "Ratio of perplexities" if is_ratio else "Change of accuracy"
    unit = f"{'over' if is_ratio else 'points against'} {changes[0].base}"
    if len(series) <= _MOST_RUNS:
        unchanged = ("unchanged", 1.0 if is_ratio else 0.0)
        # the colours of `accuracy_charts`, which begin with the base
        return [interval_chart(series, unit=unit, reference=unchanged, colour=1, **looks)]
    codes = list(dict.fromkeys(code for values in series.values() for code in values))
    values = [
        [estimates[code].value if code in estimates else np.nan for code in codes]
        for estimates in series.values()
    ]
    if not is_ratio:
        looks["scheme"] = DIVERGING
    return [heatmap(np.array(values), list(series), codes, unit=unit, **looks)]


def _ratio(change: Estimate) -> Estimate:
    low, high = (None if bound is None else 1 + bound for bound in (change.low, change.high))
    return Estimate(1 + change.value, low, high, change.verdict)
