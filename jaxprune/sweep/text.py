"""Records of a sweep → titles, headers and rows of text, the same for Markdown, the terminal and the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxprune.config import MIX
from jaxprune.sweep.tables_json import (
    CalibrationRow,
    Cell,
    DenseCell,
    Mean,
    PerplexityCell,
    PerplexityTables,
    SweepTables,
    TaskTables,
    TranslationCell,
    TranslationRow,
    TranslationTables,
    VariantRow,
)
from jaxprune.tables import (
    NONE,
    TextTable,
    count_range,
    fraction,
    interval,
    percent,
    point_interval,
    points,
    signed,
    tenths,
    times,
)
from jaxprune.tables import seconds as in_seconds

_MEAN = "mean non-en"
_PROBABILITY = "Probability of the right option"


def seconds(sweep: SweepTables) -> str:
    """The seconds of each stage, over all variants."""
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
        "A row of several languages (as fr+ru) is one model that was calibrated on all of them. Probability of the "
        "right option: softmax of the scores of a row's options, mean over rows, in percent; in brackets points "
        "against dense, 95% interval of the paired bootstrap, nothing corrected. An empty cell (–) was not asked.",
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


def task_tables(task: TaskTables) -> list[TextTable]:
    """Accuracy, change, probability and, where the task is parallel, RankC."""
    dense, header = task.dense, ["", *task.codes, _MEAN]
    cells = dense.languages.values()
    accuracies = ["dense", *map(accuracy, cells), percent(dense.mean_non_english)]
    probabilities = [percent(cell.probability, 2) for cell in cells]
    probabilities = ["dense", *probabilities, percent(dense.mean_probability, 2)]
    tables = [
        TextTable("Accuracy", header, [accuracies, *_rows(task, task.rows, accuracy)]),
        TextTable("Change", header, _rows(task, task.rows, change)),
        TextTable(_PROBABILITY, header, [probabilities, *_rows(task, task.rows, probability)]),
    ]
    ranked = [code for code, cell in dense.languages.items() if cell.rankc is not None]
    if ranked:
        by_row = {"dense": dense.languages} | {row_name(row): row.languages for row in task.rows}
        rows = [[name, *(_rankc(of.get(code)) for code in ranked)] for name, of in by_row.items()]
        tables.append(TextTable("RankC with English", ["", *ranked], rows))
    return tables


def change_table(task: TaskTables) -> TextTable:
    """Accuracy of the dense model, then changes without their intervals."""
    dense = task.dense
    first = [percent(cell.accuracy) for cell in dense.languages.values()]
    rows = [["dense", *first, percent(dense.mean_non_english)]]
    rows += _rows(task, task.rows, short_change)
    return TextTable("", ["", *task.codes, _MEAN], rows)


def variant_tables(task: TaskTables) -> list[TextTable]:
    """Changes and probabilities of every variant in every language: what a calibration costs the others."""
    header = ["", *task.codes, _MEAN]
    return [
        TextTable(title, header, _rows(task, task.variants, show))
        for title, show in (
            ("Every variant in every language, points against dense", short_change),
            (f"{_PROBABILITY}, every variant in every language", probability),
        )
    ]


def _rows(
    task: TaskTables,
    rows: Sequence[CalibrationRow | VariantRow],
    show: Callable[[Cell | Mean | None], str],
) -> list[list[str]]:
    return [
        [
            row_name(row),
            *(show(row.languages.get(code)) for code in task.codes),
            show(row.mean_non_english),
        ]
        for row in rows
    ]


def perplexity_tables(found: PerplexityTables) -> list[TextTable]:
    """Perplexities, each with its ratio to dense: rows as of a task, and every variant in every language."""
    dense = ["dense", *(f"{cell.perplexity:,.2f}" for cell in found.dense.values())]
    rows: dict[str, dict[str, PerplexityCell]] = {}
    for one in sorted(found.variants, key=lambda one: (one.sparsity is None, one.sparsity)):
        own = one.language.split(MIX) if one.language else [*found.dense]
        name = _name(one.calibration, one.language if len(own) > 1 else None, one.sparsity)
        cells = {code: cell for code, cell in one.languages.items() if code in own}
        rows[name] = rows.get(name, {}) | cells
    by_variant = {one.variant: one.languages for one in found.variants}
    return [
        TextTable(title, ["", *found.dense], [dense, *(
            [name, *(_perplexity(cells.get(code)) for code in found.dense)]
            for name, cells in shown.items()
        )])
        for title, shown in (
            ("Perplexity", rows),
            ("Perplexity, every variant in every language", by_variant),
        )
    ]  # fmt: skip


def perplexity_note(found: PerplexityTables) -> str:
    """The text that was measured, and how ratios are shown."""
    lines = f" lines {found.lines} of" if found.lines else ""
    tokens = count_range(cell.tokens for cell in found.dense.values())
    return (
        f"On{lines} {found.data}, {tokens} tokens a language; in brackets times the dense model's, with the 95% "
        "interval over windows of the text."
    )


def translation_tables(translation: TranslationTables) -> list[TextTable]:
    """BLEU and chrF, each with its change against dense."""
    dense = translation.dense.languages
    tables = []
    for name, title in (("bleu", "BLEU"), ("chrf", "chrF")):
        rows = [["dense", *(tenths(getattr(scores, name)) for scores in dense.values())]]
        for row in translation.rows:
            cells = (row.languages.get(code) for code in dense)
            rows.append([row_name(row), *(_score(cell, name) for cell in cells)])
        tables.append(TextTable(title, ["", *dense], rows))
    return tables


# Cells.


def row_name(row: CalibrationRow | TranslationRow | VariantRow) -> str:
    """As "translation 30%", "translation fr+sw 30%" or "lrp2"; the folder of a single variant."""
    if isinstance(row, VariantRow):
        return row.variant
    return _name(row.calibration, row.mixture, row.sparsity)


def _name(calibration: str, mixture: str | None, sparsity: float | None) -> str:
    dropped = None if sparsity is None else f"{100 * sparsity:g}%"
    return " ".join(filter(None, (calibration.replace("_", " "), mixture, dropped)))


def stars(cell: Cell | Mean | TranslationCell) -> str:
    """`*` significant over the languages, `**` over the table as well."""
    if not cell.significant:
        return ""
    return "**" if cell.significant_table else "*"


def accuracy(cell: Cell | DenseCell | Mean | None) -> str:
    """As "74.1 [71.3, 76.7]"; of a mean without the interval."""
    if cell is None:
        return NONE
    bounds = f" {interval(cell.interval)}" if cell.interval else ""
    return percent(cell.accuracy) + bounds


def change(cell: Cell | Mean | None) -> str:
    """As "+0.9 [−0.4, +2.2]*"."""
    if cell is None:
        return NONE
    return f"{points(cell.difference)} {point_interval(cell.difference_interval)}{stars(cell)}"


def short_change(cell: Cell | Mean | None) -> str:
    """As "+0.9*"."""
    return NONE if cell is None else points(cell.difference) + stars(cell)


def probability(cell: Cell | Mean | None) -> str:
    """As "34.12 (−0.31 [−0.40, −0.22])"."""
    if cell is None:
        return NONE
    found = cell.probability
    return f"{percent(found.mean, 2)} ({points(found.difference, 2)} {point_interval(found.interval, 2)})"


def _perplexity(cell: PerplexityCell | None) -> str:
    """As "36.71 (×1.23 [1.20, 1.26])"."""
    if cell is None:
        return NONE
    bounds = f" [{', '.join(map(ratio, cell.interval))}]" if cell.interval else ""
    shown = f"{cell.perplexity:,.2f}" if cell.perplexity < 1e6 else f"{cell.perplexity:.0e}"
    return f"{shown} (×{ratio(cell.ratio)}{bounds})"


def ratio(value: float) -> str:
    """The ratio of two perplexities, as "1.23"."""
    return f"{value:.2f}" if value < 100 else times(value)


def _rankc(cell: Cell | DenseCell | None) -> str:
    return NONE if cell is None else fraction(cell.rankc)


def _score(cell: TranslationCell | None, name: str) -> str:
    if cell is None:
        return NONE
    moved = signed(getattr(cell.difference, name))
    return f"{tenths(getattr(cell, name))} ({moved}){stars(cell) if name == 'bleu' else ''}"
