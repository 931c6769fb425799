"""A comparison of two runs → titles, headers and rows of text, the same for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxprune.evaluation.comparison.records import (
    NO_MASKS,
    Comparison,
    ComparisonMethod,
    LanguageComparison,
    MeanComparison,
    PerplexityComparison,
    TaskComparison,
    TranslationComparison,
)
from jaxprune.evaluation.translation import ScoreComparison
from jaxprune.tables import (
    NONE,
    Group,
    count,
    count_range,
    fraction,
    fractions,
    p_value,
    percent,
    point_interval,
    points,
    signed,
    tenths,
)

# Titles over the columns of a task. The first column is the language.
GROUPS = (
    Group("", ("",)),
    Group("accuracy %", ("A", "B")),
    Group("change, points", ("B−A", "95% interval")),
    Group("p", ("boot", "McN", "Holm  ")),
    Group("gap to en", ("A", "B")),
    Group("RankC", ("A", "B")),
)


class TextTable(NamedTuple):
    """A table without groups: its title, header and rows."""

    title: str
    header: list[str]
    rows: list[list[str]]


def language_rows(task: TaskComparison) -> list[list[str]]:
    """Cells of every language, in the order of GROUPS."""
    return [_language_row(code, figure) for code, figure in task.languages.items()]


def probability_table(task: TaskComparison) -> TextTable | None:
    """Mean probability of the right option by language, and the means; None where none is known."""
    figures: Mapping[str, LanguageComparison | MeanComparison]
    figures = {**task.languages, **task.means}
    rows = [
        [
            name,
            *(percent(mean, 2) for mean in one.mean),
            points(one.difference, 2),
            point_interval(one.interval, 2),
            p_value(one.p),
        ]
        for name, figure in figures.items()
        if (one := figure.probability) is not None
    ]
    header = ["", "A", "B", "B−A", "95% interval", "p boot"]
    return TextTable("probability of the right option, %", header, rows) if rows else None


def mean_rows(task: TaskComparison) -> list[list[str]]:
    """Cells of the means."""
    names = ("mean", "non-en")
    return [_mean_row(name, mean) for name, mean in zip(names, task.means.values(), strict=False)]


def _language_row(code: str, figure: LanguageComparison) -> list[str]:
    return [
        *_change_cells(code, figure),
        p_value(figure.p.mcnemar),
        p_value(figure.p.holm) + _star(figure.significant),
        *(map(percent, figure.gap_to_english) if figure.gap_to_english else (NONE, NONE)),
        *((fraction(rankc.corrected) for rankc in figure.rankc) if figure.rankc else (NONE, NONE)),
    ]


def _mean_row(name: str, figure: MeanComparison) -> list[str]:
    return [*_change_cells(name, figure), NONE, NONE + _star(False), *[NONE] * 4]


def _change_cells(name: str, figure: LanguageComparison | MeanComparison) -> list[str]:
    return [
        name,
        *map(percent, figure.accuracy),
        points(figure.difference),
        point_interval(figure.interval),
        p_value(figure.p.bootstrap),
    ]


def _star(significant: bool) -> str:
    return " *" if significant else "  "


def text_tables(comparison: Comparison) -> Iterator[TextTable]:
    """Of perplexity and translation, as far as both runs have them."""
    if comparison.perplexity:
        yield _perplexity_table(comparison.perplexity)
    if comparison.translation:
        yield _translation_table(comparison.translation)


def _perplexity_table(languages: Mapping[str, PerplexityComparison]) -> TextTable:
    rows = [
        [
            code,
            count(figure.tokens),
            *(f"{value:.2f}" for value in figure.perplexity),
            fraction(figure.ratio),
            fractions(figure.interval),
        ]
        for code, figure in languages.items()
    ]
    return TextTable("perplexity", ["language", "tokens", "A", "B", "B/A", "95%"], rows)


def _translation_table(translation: TranslationComparison) -> TextTable:
    rows = [
        [
            code,
            count(figure.rows),
            *_score_cells(figure.bleu),
            p_value(figure.holm) + _star(figure.significant),
            *_score_cells(figure.chrf),
        ]
        for code, figure in translation.languages.items()
    ]
    bleu, chrf = ([f"{name} A", f"{name} B", "B−A", "p boot"] for name in ("BLEU", "chrF"))
    title = f"translation into {translation.target}; p boot: sacrebleu's paired bootstrap"
    return TextTable(title, ["language", "rows", *bleu, "p Holm  ", *chrf], rows)


def _score_cells(score: ScoreComparison) -> list[str]:
    return [tenths(score.a), tenths(score.b), signed(score.difference), p_value(score.p)]


# What stands around the tables.


def legend(method: ComparisonMethod) -> str:
    """What the columns of GROUPS hold."""
    return (
        f"B−A, its {method.confidence:.0%} interval and p boot: paired bootstrap over rows "
        f"({count(method.resamples)} resamples; for means a row is drawn in all languages at once). "
        "p McN: McNemar's exact test. p Holm: p McN after Holm's correction over the languages of the "
        f"task; * significant: at most {method.alpha}. Gap to en: points behind English. RankC: "
        "consistency with English (corrected). Probability of the right option: softmax of the scores of a "
        "row's options, mean over rows; nothing is corrected."
    )


def title_of(name: str, task: TaskComparison) -> str:
    """The task, its protocol and how many rows it has."""
    protocol = f", protocol {task.protocol}" if task.protocol else ""
    rows = count_range(figure.rows for figure in task.languages.values())
    return f"{name}{protocol}, {rows} rows a language"


def notes(task: TaskComparison) -> list[str]:
    """The worst language of each run, and the languages of which only some rows count."""
    worst = (
        f"{side} {one.language} {percent(one.accuracy)}%"
        for side, one in zip("AB", task.worst, strict=True)
    )
    partial: dict[tuple[int, int, int], list[str]] = {}
    for code, figure in task.languages.items():
        sizes = (figure.rows, figure.rows_a, figure.rows_b)
        if len(set(sizes)) > 1:
            partial.setdefault(sizes, []).append(code)
    return [f"worst language: {', '.join(worst)}"] + [
        f"{' '.join(codes)}: {count(rows)} rows are in both runs and count "
        f"(A has {count(a)}, B has {count(b)})"
        for (rows, a, b), codes in partial.items()
    ]


def left_out_notes(comparison: Comparison) -> list[str]:
    """What only one run has."""
    left_out = comparison.left_out
    return [
        f"only in {side}, left out: {', '.join(names)}"
        for side, names in (("A", left_out.only_a), ("B", left_out.only_b))
        if names
    ]


def mask_note(comparison: Comparison) -> str:
    """How much the masks overlap, or why that is not told."""
    masks, note = comparison.masks, comparison.masks_note
    if masks is None:
        return f"masks: {note}" if note in NO_MASKS.values() else f"masks: not compared ({note})"
    kept = [percent(share) for share in masks.density]
    return (
        f"masks: IoU {fraction(masks.overall)} of the kept weights ({fraction(masks.independent)} if the "
        f"masks were independent); A keeps {kept[0]}%, B {kept[1]}%"
    )


def mask_parts(comparison: Comparison) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """("layer", (number, IoU) of each) and ("kernel", (name, IoU) of each), where masks are compared."""
    masks = comparison.masks
    if masks is None:
        return []
    layers = [(str(layer), fraction(share)) for layer, share in enumerate(masks.layers)]
    kernels = [
        (path.removeprefix("blocks/").removesuffix("/kernel"), fraction(share))
        for path, share in masks.kernels.items()
    ]
    return [("layer", layers), ("kernel", kernels)]
