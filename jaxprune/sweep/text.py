"""Records of a sweep → titles, headers and rows of text, the same for Markdown, the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from jaxprune.sweep.records import (
    CalibrationRow,
    Cell,
    DenseCell,
    Mean,
    SweepTables,
    TaskTables,
    TranslationCell,
    TranslationRow,
    TranslationTables,
)
from jaxprune.tables import (
    NONE,
    count_range,
    fraction,
    interval,
    percent,
    point_interval,
    points,
    signed,
    tenths,
)
from jaxprune.tables import seconds as in_seconds


class TextTable(NamedTuple):
    """A header and rows, as `html_report.table` and `tables.pipes` take them."""

    header: list[str]
    rows: list[list[str]]


_MEAN = "mean non-en"


def seconds(sweep: SweepTables) -> str:
    """Of each stage, over all variants."""
    return ", ".join(f"{stage} {in_seconds(total)}" for stage, total in sweep.seconds.items())


def about(sweep: SweepTables) -> list[str]:
    """How the tables are to be read."""
    return [
        "A row is a calibration at a sparsity. In each language it shows the model that was calibrated on "
        "demonstrations of that language (random, magnitude and lrp2 have none: one model for all), so a "
        "row of languages is not one model. Accuracy: percent, Wilson's 95% interval. Change: points "
        "against dense, 95% interval of the paired bootstrap; McNemar's exact test, `*` significant after "
        "Holm's correction over the languages of the model, `**` also over all cells of the table. A "
        "change without a star may be noise. Means are over the languages other than English and have no "
        "star: their interval tells.",
    ]


def helped(task: TaskTables) -> str:
    """One line: where a calibration made a language significantly better."""
    better = [
        f"{row_name(row)}: {code} {short_change(cell)}"
        for row in task.rows
        for code, cell in row.languages.items()
        if cell.significant and cell.difference > 0
    ]
    return f"Significantly better than dense: {', '.join(better) or 'none'}."


def row_count(tables: TaskTables | TranslationTables) -> str:
    """Rows of a language, or their range."""
    return count_range(cell.rows for cell in tables.dense.languages.values())


def task_tables(task: TaskTables) -> list[tuple[str, TextTable]]:
    """Accuracy, change and, where the task is parallel, RankC; each with a title."""
    dense = task.dense
    header = ["", *task.codes, _MEAN]
    first = ["dense", *map(accuracy, dense.languages.values()), percent(dense.mean_non_english)]
    tables = [
        ("Accuracy", TextTable(header, [first, *_rows(task, accuracy, _mean_accuracy)])),
        ("Change", TextTable(header, _rows(task, change, change))),
    ]
    ranked = [code for code, cell in dense.languages.items() if cell.rankc is not None]
    if ranked:
        rows = [["dense", *(fraction(dense.languages[code].rankc) for code in ranked)]]
        rows += [
            [row_name(row), *(_rankc(row.languages.get(code)) for code in ranked)]
            for row in task.rows
        ]
        tables.append(("RankC with English", TextTable(["", *ranked], rows)))
    return tables


def change_table(task: TaskTables) -> TextTable:
    """Accuracy of the dense model, then changes without their intervals."""
    dense = task.dense
    first = [percent(cell.accuracy) for cell in dense.languages.values()]
    rows = [["dense", *first, percent(dense.mean_non_english)]]
    return TextTable(["", *task.codes, _MEAN], [*rows, *_rows(task, short_change, short_change)])


def variant_table(task: TaskTables) -> TextTable:
    """Change of every variant in every language: what a calibration costs the others."""
    rows = [
        [one.variant, *(short_change(one.languages[code]) for code in task.codes),
         short_change(one.mean_non_english)]
        for one in task.variants
    ]  # fmt: skip
    return TextTable(["", *task.codes, _MEAN], rows)


def _rows(
    task: TaskTables,
    show: Callable[[Cell | None], str],
    show_mean: Callable[[Mean | None], str],
) -> list[list[str]]:
    return [
        [row_name(row), *(show(row.languages.get(code)) for code in task.codes),
         show_mean(row.mean_non_english)]
        for row in task.rows
    ]  # fmt: skip


def translation_tables(translation: TranslationTables) -> list[tuple[str, TextTable]]:
    """BLEU and chrF, each with its change against dense."""
    dense = translation.dense.languages
    tables = []
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        rows = [["dense", *(tenths(getattr(scores, name)) for scores in dense.values())]]
        for row in translation.rows:
            cells = (row.languages.get(code) for code in dense)
            rows.append([row_name(row), *(_score(cell, name) for cell in cells)])
        tables.append((title, TextTable(["", *dense], rows)))
    return tables


# Cells.


def row_name(row: CalibrationRow | TranslationRow) -> str:
    """As "translation 30%" or "lrp2"."""
    name = row.calibration.replace("_", " ")
    return name if row.sparsity is None else f"{name} {100 * row.sparsity:g}%"


def stars(cell: Cell | Mean | TranslationCell) -> str:
    """`*` significant over the languages, `**` over the table as well."""
    if not cell.significant:
        return ""
    return "**" if cell.significant_table else "*"


def accuracy(cell: Cell | DenseCell | None) -> str:
    """As "74.1 [71.3, 76.7]"."""
    return NONE if cell is None else f"{percent(cell.accuracy)} {interval(cell.interval)}"


def change(cell: Cell | Mean | None) -> str:
    """As "+0.9 [−0.4, +2.2]*"."""
    if cell is None:
        return NONE
    return f"{points(cell.difference)} {point_interval(cell.difference_interval)}{stars(cell)}"


def short_change(cell: Cell | Mean | None) -> str:
    """As "+0.9*"."""
    return NONE if cell is None else points(cell.difference) + stars(cell)


def _mean_accuracy(mean: Mean | None) -> str:
    return NONE if mean is None else percent(mean.accuracy)


def _rankc(cell: Cell | None) -> str:
    return NONE if cell is None else fraction(cell.rankc)


def _score(cell: TranslationCell | None, name: str) -> str:
    if cell is None:
        return NONE
    moved = signed(getattr(cell.difference, name))
    return f"{tenths(getattr(cell, name))} ({moved}){stars(cell) if name == 'bleu' else ''}"
