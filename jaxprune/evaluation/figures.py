"""Figures and changes as text, with verdicts, the same for terminals, Markdown, pages, cards and notebooks."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from jaxprune.base.text import NONE, Cell, fraction, interval, percent, points, signed, times
from jaxprune.evaluation.changes import FEWEST_PARTS, Change
from jaxprune.evaluation.measurements import MEASURES, Measurement
from jaxprune.evaluation.scoring.metrics import ALPHA
from jaxprune.evaluation.scoring.perplexity import PERPLEXITY

Row = TypeVar("Row", Measurement, Change)
Figures = Mapping[tuple[str, str, str, str], Measurement]  # by run, task, language and measure


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
    """The key of `VERDICTS`, by p_holm; for perplexity on enough text, by the interval of the ratio.

    Args:
      chance: whether the base is at chance.
    """
    if change.parts is not None and change.parts < FEWEST_PARTS:
        return "few"
    if change.task == PERPLEXITY and change.low is not None and change.high is not None:
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
    """The measurements of all runs, and the base's figures that only changes have.

    These are its means over languages, and its perplexities on the text that both runs predicted.
    """
    of_base = by_key(
        Measurement(
            row.base, "", row.task, row.language, row.measure, row.base_value, None, None, row.n
        )
        for row in changes
    )
    of_texts = {key: row for key, row in of_base.items() if row.task == PERPLEXITY}
    return of_base | by_key(measurements) | of_texts


def options_of(figures: Figures, run: str, task: str, code: str) -> int:
    """The number of options of a row; 0 if it is not known."""
    option = 0
    while (run, task, code, f"chosen_{option}") in figures:
        option += 1
    return option


def chosen_shares(figures: Figures, run: str, task: str, code: str) -> str:
    """The shares of rows in which each option is the prediction, as "33/40/27"; an en dash without options."""
    shares = [
        figures[run, task, code, f"chosen_{option}"].value
        for option in range(options_of(figures, run, task, code))
    ]
    return "/".join(percent(share, 0) for share in shares) or NONE


def figure_cell(figures: Figures, key: tuple[str, str, str, str]) -> str:
    """A figure with its interval, such as "74.1 [71.3, 76.7]", and "at chance" for an accuracy at chance."""
    row = figures.get(key)
    if row is None:
        return NONE
    bounds = "" if row.low is None else f" {show_bounds(row)}"
    shown = show_value(row.measure, row.value) + bounds
    if row.measure == "accuracy" and at_chance(row, options_of(figures, *key[:3])):
        return Cell(f"{shown} at chance", "chance")
    return shown
