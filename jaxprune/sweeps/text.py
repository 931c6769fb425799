"""Records of a sweep → titles, headers and rows of text, for Markdown, the terminal and the page."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from jaxprune.errors import listed
from jaxprune.evaluation.scoring import ALPHA, MEASURES, OverDraws
from jaxprune.sweeps import tables_json
from jaxprune.sweeps.over_draws import DrawnRow
from jaxprune.sweeps.plan import Group, Variant, by_row
from jaxprune.tables import (
    NONE,
    TextTable,
    capitalized,
    count_range,
    fraction,
    interval,
    option_shares,
    percent,
    point_interval,
    points,
    signed,
    tenths,
    times,
)
from jaxprune.tables import seconds as in_seconds

Shown = TypeVar("Shown")
Changed = tables_json.Cell | tables_json.Mean
NamedRow = tables_json.CalibrationRow | tables_json.TranslationRow | DrawnRow | Group
MEAN = "mean non-en"


def unfinished(sweep: tables_json.SweepTables) -> str | None:
    """A sentence with the variants that are missing, if any."""
    if not sweep.missing:
        return None
    names = listed(sweep.missing)
    return (
        f"Unfinished: {len(sweep.missing)} variants are missing, and so are their figures: {names}"
    )


# Cells.


def row_name(row: NamedRow) -> str:
    """As "translation 30%", "translation fr+sw 30%", "translation 30% draw 2" or "lrp2"."""
    dropped = None if row.sparsity is None else f"{100 * row.sparsity:g}%"
    draw = None if isinstance(row, DrawnRow) or row.draw is None else f"draw {row.draw}"
    name = row.calibration.replace("_", " ")
    return " ".join(filter(None, (name, row.mixture, dropped, draw)))


def stars(cell: Changed | tables_json.TranslationCell) -> str:
    """`*`: significant over the languages; `**`: also over the table."""
    if not cell.significant:
        return ""
    return "**" if cell.significant_table else "*"


def accuracy(cell: Changed | tables_json.DenseCell) -> str:
    """As "74.1 [71.3, 76.7]"; a mean has no interval."""
    bounds = f" {interval(cell.interval)}" if cell.interval else ""
    return percent(cell.accuracy) + bounds


def change(cell: Changed) -> str:
    """As "+0.9 [−0.4, +2.2]*"."""
    return f"{points(cell.difference)} {point_interval(cell.difference_interval)}{stars(cell)}"


def short_change(cell: Changed) -> str:
    """As "+0.9*"."""
    return points(cell.difference) + stars(cell)


def _measure(cell: Changed, name: str, digits: int) -> str:
    """As "34.12 (−0.31 [−0.40, −0.22])"."""
    found: tables_json.MeasureCell | None = getattr(cell, name)
    if found is None:
        return NONE
    bounds = point_interval(found.interval, digits)
    return f"{percent(found.mean, digits)} ({points(found.difference, digits)} {bounds})"


def _perplexity(cell: tables_json.PerplexityCell) -> str:
    """As "36.71 (×1.23 [1.20, 1.26])"."""
    bounds = f" {interval(cell.interval, ratio)}" if cell.interval else ""
    shown = f"{cell.perplexity:,.2f}" if cell.perplexity < 1e6 else f"{cell.perplexity:.0e}"
    return f"{shown} (×{ratio(cell.ratio)}{bounds})"


def ratio(value: float) -> str:
    """The ratio of two perplexities, as "1.23"."""
    return f"{value:.2f}" if value < 100 else times(value)


def _bleu(cell: tables_json.TranslationCell) -> str:
    """As "12.3 (+0.4)*"."""
    return f"{tenths(cell.bleu)} ({signed(cell.difference.bleu)}){stars(cell)}"


def _chrf(cell: tables_json.TranslationCell) -> str:
    """As "45.6 (+0.4)"; its change is not tested."""
    return f"{tenths(cell.chrf)} ({signed(cell.difference.chrf)})"


# Lines and tables.


def seconds(sweep: tables_json.SweepTables) -> str:
    """The seconds of each stage, over all variants."""
    return ", ".join(f"{stage} {in_seconds(total)}" for stage, total in sweep.seconds.items())


# Notes that explain the tables.
ABOUT = (
    "A row is a calibration at a sparsity. In each language it shows the model that was calibrated on "
    "demonstrations of that language (random, magnitude and lrp2 have none: one model for all languages), so the "
    "cells of a row may be of different models. Accuracy: percent, Wilson's 95% interval. Change: points against "
    "dense, 95% interval of the paired bootstrap. McNemar's exact test: `*` significant after Holm's correction "
    "over the languages of the model, `**` also over all cells of the table. A change without a star may be "
    "noise. Means are over the languages other than English; they have an interval and no star.",
    "A row of several languages (such as fr+ru) is one model that was calibrated on all of them. Probability of "
    "the right option: softmax of the scores of a row's options, mean over rows. Without the options' priors: the "
    "mean score of each option is subtracted. Within groups, such as the hypotheses of a premise: how often the "
    "right option of a row is preferred to the same option in the other rows. All in percent; in brackets points "
    "against dense and the 95% interval of the paired bootstrap (over groups if the task has groups), not "
    "corrected for multiple tests. – = not evaluated.",
)


def helped(task: tables_json.TaskTables) -> str:
    """The significant gains, and the significant changes that vanish without the options' priors."""
    changed = {
        f"{row_name(row)}: {code} {short_change(cell)}": cell
        for row in task.rows
        for code, cell in row.languages.items()
        if cell.significant
    }
    better = [name for name, cell in changed.items() if cell.difference > 0]
    vanished = [name for name, cell in changed.items() if cell.without_prior.p > ALPHA]
    return (
        f"Significantly better than dense: {', '.join(better) or 'none'}. Significant, but not without the options' "
        f"priors: {', '.join(vanished) or 'none'}."
    )


def row_count(tables: tables_json.TaskTables | tables_json.TranslationTables) -> str:
    """The number of rows of a language, or the range of this number."""
    return count_range(cell.rows for cell in tables.dense.languages.values())


def task_tables(task: tables_json.TaskTables) -> list[TextTable]:
    """Accuracy, change, chosen options, other measures and, for parallel tasks, RankC."""
    dense, cells = task.dense, task.dense.languages.values()
    columns, rows = [*task.codes, MEAN], named_cells(task)
    every: list[tuple[str, Mapping[str, tables_json.Cell | tables_json.DenseCell]]] = [
        ("dense", dense.languages)
    ]
    every += [(row_name(row), row.languages) for row in task.rows]
    accuracies = ["dense", *map(accuracy, cells), percent(dense.mean_non_english)]
    tables = [
        _table("Accuracy", columns, [accuracies], rows, accuracy),
        _table("Change", columns, [], rows, change),
        _table("Options chosen, %", task.codes, [], every, lambda cell: option_shares(cell.chosen)),
    ]
    for name, title, digits, _ in MEASURES:
        known = {code: getattr(cell, name) for code, cell in dense.languages.items()}
        others = [share for code, share in known.items() if code != "en" and share is not None]
        mean = math.fsum(others) / len(others) if others else None
        if {*known.values()} != {None}:
            first = ["dense", *(percent(share, digits) for share in [*known.values(), mean])]
            show = functools.partial(_measure, name=name, digits=digits)
            tables.append(_table(capitalized(title), columns, [first], rows, show))
    ranked = [code for code, cell in dense.languages.items() if cell.rankc is not None]
    if ranked:
        tables.append(
            _table("RankC with English", ranked, [], every, lambda cell: fraction(cell.rankc))
        )
    return tables


def change_table(
    task: tables_json.TaskTables,
    show: Callable[[Changed], str] = short_change,
    dense: str = "dense",
) -> TextTable:
    """Accuracy of the dense model in a row named `dense`, then changes as text by `show`."""
    accuracies = [percent(cell.accuracy) for cell in task.dense.languages.values()]
    first = [dense, *accuracies, percent(task.dense.mean_non_english)]
    return _table("", [*task.codes, MEAN], [first], named_cells(task), show)


def variant_tables(task: tables_json.TaskTables) -> list[TextTable]:
    """Changes and probabilities of every variant in every language: the effect on other languages too."""
    columns, rows = [*task.codes, MEAN], [(one.variant, _cells(one)) for one in task.variants]
    probability = functools.partial(_measure, name="probability", digits=2)
    title = "Every variant in every language, points against dense"
    other = "Probability of the right option, every variant in every language"
    return [
        _table(title, columns, [], rows, short_change),
        _table(other, columns, [], rows, probability),
    ]


def named_cells(task: tables_json.TaskTables) -> list[tuple[str, dict[str, Changed]]]:
    """The name and the cells by column of every row."""
    return [(row_name(row), _cells(row)) for row in task.rows]


def _cells(row: tables_json.CalibrationRow | tables_json.VariantRow | DrawnRow) -> dict[str, Any]:
    """The cells of a row by column, the mean last."""
    mean = {MEAN: row.mean_non_english} if row.mean_non_english else {}
    return {**row.languages, **mean}


def perplexity_tables(found: tables_json.PerplexityTables) -> list[TextTable]:
    """Perplexities with their ratio to dense, in the rows of a task and of every variant; bits per byte of all."""
    codes = list(found.dense)
    dense = ["dense", *(f"{cell.perplexity:,.2f}" for cell in found.dense.values())]
    by_variant = {
        Variant(one.calibration, one.language, one.sparsity, one.draw): one.languages
        for one in found.variants
    }
    rows = [
        (row_name(group), {code: cell for code, (_, cell) in row.items()})
        for group, row in by_row(by_variant, codes).items()
    ]
    every = [(one.variant, one.languages) for one in found.variants]
    tables = [
        _table("Perplexity", codes, [dense], rows, _perplexity),
        _table("Perplexity, every variant in every language", codes, [dense], every, _perplexity),
    ]
    bits = [cell.bits_per_byte for cell in found.dense.values()]
    if any(bits):  # a tokenizer without character offsets has none
        first = ["dense", *map(fraction, bits)]
        tables.append(
            _table(
                "Bits per byte", codes, [first], every, lambda cell: fraction(cell.bits_per_byte)
            )
        )
    return tables


DRAWS = (
    "Means over the draws of the calibration text. In brackets the 95% interval of a mixed model with random effects "
    "of draws and of groups of rows, or of parts of the text; then the interval of a bootstrap of both, which is too "
    "narrow for few draws. Changes of shares are in points."
)


def draw_tables(found: Sequence[DrawnRow]) -> list[TextTable]:
    """A table for each measure and reference, with a row for each calibration."""
    by_title: dict[str, list[DrawnRow]] = {}
    for row in found:
        title = f"{row.measure.replace('_', ' ')}, change against {row.against}"
        by_title.setdefault(f"{row.task}: {title}" if row.task else title, []).append(row)
    tables = []
    for title, rows in by_title.items():
        codes = [*dict.fromkeys(code for row in rows for code in row.languages), MEAN]
        scale = 100 if rows[0].task else 1
        cells = [(row_name(row), _cells(row)) for row in rows]
        show = functools.partial(_drawn, scale=scale)
        tables.append(_table(capitalized(title), codes, [], cells, show))
    return tables


def _drawn(cell: OverDraws, scale: int) -> str:
    """As "+0.45 [−0.10, +1.01], bootstrap [+0.02, +0.90]"."""

    def show(value: float) -> str:
        return signed(scale * value, 2)

    mixed = f" {interval(cell.interval, show)}" if cell.interval else ""
    return f"{show(cell.mean)}{mixed}, bootstrap {interval(cell.bootstrap, show)}"


def perplexity_note(found: tables_json.PerplexityTables) -> str:
    """The text, the form of the ratios, and overlaps with calibration sets."""
    lines = f" lines {found.lines} of" if found.lines else ""
    tokens = count_range(cell.tokens for cell in found.dense.values())
    shared = [(one.variant, one.calibration_overlap) for one in found.variants]
    names = ", ".join(f"{name} ({' '.join(codes)})" for name, codes in shared if codes)
    note = f" Calibration sets that contain lines of this text: {names}." if names else ""
    return (
        f"On{lines} {found.data}, {tokens} tokens a language; in brackets the ratio to the dense model's, with "
        f"its 95% interval over parts of the text.{note}"
    )


def translation_tables(translation: tables_json.TranslationTables) -> list[TextTable]:
    """BLEU and chrF with their change against dense."""
    codes, dense = list(translation.dense.languages), translation.dense.languages.values()
    rows = [(row_name(row), row.languages) for row in translation.rows]
    bleu = ["dense", *(tenths(scores.bleu) for scores in dense)]
    chrf = ["dense", *(tenths(scores.chrf) for scores in dense)]
    return [_table("BLEU", codes, [bleu], rows, _bleu), _table("chrF", codes, [chrf], rows, _chrf)]


def _table(
    title: str,
    columns: Sequence[str],
    first: list[list[str]],
    rows: Iterable[tuple[str, Mapping[str, Shown]]],
    show: Callable[[Shown], str],
) -> TextTable:
    """The `first` rows unchanged, then named `rows` of cells by column; NONE for a missing cell."""
    shown = [
        [name, *(show(cells[column]) if column in cells else NONE for column in columns)]
        for name, cells in rows
    ]
    return TextTable(title, ["", *columns], first + shown)
