"""A comparison of two runs → titles, headers and rows of text, for the terminal, Markdown and pages."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jaxprune.evaluation.comparison.compare_json import (
    NO_MASKS,
    Comparison,
    ComparisonMethod,
    ContrastComparison,
    LanguageComparison,
    MeanComparison,
    MeanDifference,
    PerplexityComparison,
    Sides,
    TaskComparison,
    TranslationComparison,
)
from jaxprune.evaluation.scoring import ALPHA, MEASURES
from jaxprune.evaluation.translation import ScoreComparison
from jaxprune.tables import (
    NONE,
    Group,
    TextTable,
    count,
    count_range,
    fraction,
    interval,
    number,
    option_shares,
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
Figures = LanguageComparison | MeanComparison


def figure_rows(figures: Mapping[str, Figures]) -> list[list[str]]:
    """The cells of languages and means by short name, in the order of GROUPS."""
    return [
        [
            name.removeprefix("mean "),
            *change_cells(figure),
            p_value(figure.p.mcnemar),
            p_value(figure.p.holm) + _star(figure.significant),
            *percent_cells(figure.gap_to_english),
            *rankc_cells(figure)[0],
        ]
        for name, figure in figures.items()
    ]


def task_table(name: str, task: TaskComparison) -> TextTable:
    """`figure_rows` of languages and means in columns without group titles."""
    header = [f"{group.title} {column}".strip() for group in GROUPS for column in group.columns]
    return TextTable(title_of(name, task), ["language", *header[1:]], figure_rows(task.figures))


def comparison_tables(comparison: Comparison) -> Iterator[TextTable]:
    """All tables of a comparison."""
    for name, task in comparison.tasks.items():
        yield task_table(name, task)
        yield from measure_tables(task)
    yield from text_tables(comparison)


def change_cells(figure: Figures) -> list[str]:
    """Accuracy of both runs; the change in points, its interval and p of the bootstrap."""
    return [
        *percent_cells(figure.accuracy),
        points(figure.difference),
        point_interval(figure.interval),
        p_value(figure.p.bootstrap),
    ]


def percent_cells(shares: Sides[float] | None) -> list[str]:
    """A share of both runs, in percent."""
    return [NONE, NONE] if shares is None else [*map(percent, shares)]


def rankc_cells(figure: Figures) -> tuple[list[str], list[str]]:
    """RankC of both runs, corrected and official."""
    sides = figure.rankc or (None, None)
    corrected = [fraction(rankc.corrected if rankc else None) for rankc in sides]
    return corrected, [fraction(rankc.official if rankc else None) for rankc in sides]


def _star(significant: bool | None) -> str:
    return " *" if significant else "  "


def measure_tables(
    task: TaskComparison, sides: Sequence[str] = ("A", "B"), change: str = "B−A"
) -> Iterator[TextTable]:
    """The known measures besides accuracy, by language and as means.

    Args:
      task: of a comparison.
      sides: names of the two runs.
      change: name of the change.
    """
    tables: list[tuple[str, str, list[str], Callable[[Any], list[str]]]] = [
        ("chosen", "options chosen, %", [], lambda shares: [*map(option_shares, shares)])
    ]
    for name, title, digits, _ in MEASURES:
        show = functools.partial(_mean_cells, digits=digits)
        tables.append((name, title, [change, "95% interval", "p boot"], show))
    header = ["share, %", "95% interval"]
    tables.append(("contrast", "contrast within groups", header, _contrast_cells))
    for name, title, header, cells in tables:
        found = {where: getattr(figure, name) for where, figure in task.figures.items()}
        rows = [[where, *cells(one)] for where, one in found.items() if one is not None]
        if rows:
            yield TextTable(title, ["", *sides, *header], rows)


def _mean_cells(one: MeanDifference, digits: int) -> list[str]:
    means = [percent(mean, digits) for mean in one.mean]
    bounds = point_interval(one.interval, digits)
    return [*means, points(one.difference, digits), bounds, p_value(one.p)]


def _contrast_cells(one: ContrastComparison) -> list[str]:
    show = functools.partial(percent, digits=0)
    return [*map(number, one.mean), show(one.share), interval(one.interval, show)]


def vanished(task: TaskComparison) -> list[str]:
    """Notes on significant changes that are not significant without the options' priors."""
    return [
        f"{name}: the significant change of {points(figure.difference)} points is not significant without the "
        f"options' priors: {points(one.difference)} {point_interval(one.interval)}"
        for name, figure in task.languages.items()
        if figure.significant and (one := figure.without_prior).p > ALPHA
    ]


def text_tables(comparison: Comparison) -> Iterator[TextTable]:
    """Tables of perplexity and translation, if both runs have them."""
    if comparison.perplexity:
        rows = perplexity_rows(comparison.perplexity, "{:.2f}".format)
        columns, bits = ["language", "tokens", "A", "B"], ["bits/byte A", "B"]
        yield TextTable("perplexity", [*columns, "B/A", "95%", *bits], rows)
    if translation := comparison.translation:
        bleu, chrf = ([f"{name} A", f"{name} B", "B−A", "p boot"] for name in ("BLEU", "chrF"))
        title = f"translation into {translation.target}; p boot: sacrebleu's paired bootstrap"
        header = ["language", "rows", *bleu, "p Holm  ", *chrf]
        yield TextTable(title, header, translation_rows(translation, _star))


def perplexity_rows(
    languages: Mapping[str, PerplexityComparison], show: Callable[[float], str] = number
) -> list[list[str]]:
    """Language, tokens, perplexity of both runs, their ratio B/A and its interval, bits per byte of both."""
    return [
        [
            code,
            count(figure.tokens),
            *map(show, figure.perplexity),
            fraction(figure.ratio),
            interval(figure.interval, fraction),
            *map(fraction, figure.bits_per_byte or (None, None)),
        ]
        for code, figure in languages.items()
    ]


def translation_rows(
    translation: TranslationComparison, star: Callable[[bool], str] = lambda _: ""
) -> list[list[str]]:
    """Language, sentences, BLEU with its corrected p, chrF; of each score both runs, change and p."""
    return [
        [
            code,
            count(figure.rows),
            *_score_cells(figure.bleu),
            p_value(figure.holm) + star(figure.significant),
            *_score_cells(figure.chrf),
        ]
        for code, figure in translation.languages.items()
    ]


def _score_cells(score: ScoreComparison) -> list[str]:
    return [tenths(score.a), tenths(score.b), signed(score.difference), p_value(score.p)]


# Titles and notes.


def legend(method: ComparisonMethod) -> str:
    """Explains the columns of GROUPS."""
    return (
        f"B−A, its {method.confidence:.0%} interval and p boot: paired bootstrap over rows, or over groups of rows "
        f"if the task has groups ({count(method.resamples)} resamples, drawn jointly in all languages of a mean). "
        "p McN: McNemar's exact test. p Holm: p McN after Holm's correction over the languages of the "
        f"task; * significant: at most {method.alpha}. Gap to en: points behind English. RankC: "
        "consistency with English (corrected). Probability of the right option: softmax of the scores of a "
        "row's options, mean over rows. Without the options' priors: the mean score of each option is subtracted. "
        "Within groups, such as the hypotheses of a premise: how often the right option of a row is preferred to the "
        "same option in the other rows; contrast: by how much. These measures are not corrected for multiple tests."
    )


def title_of(name: str, task: TaskComparison) -> str:
    """The task, its protocol and its number of rows."""
    protocol = f", protocol {task.protocol}" if task.protocol else ""
    rows = count_range(figure.rows for figure in task.languages.values())
    return f"{name}{protocol}, {rows} rows a language"


def notes(task: TaskComparison) -> list[str]:
    """The worst language of each run, vanished changes, and languages of which only some rows count."""
    worst = (
        f"{side} {one.language} {percent(one.accuracy)}%"
        for side, one in zip("AB", task.worst, strict=True)
    )
    return [f"worst language: {', '.join(worst)}", *vanished(task), *partial_notes(task)]


def partial_notes(task: TaskComparison, a: str = "A", b: str = "B") -> list[str]:
    """Names the languages in which the runs, called `a` and `b`, have different rows."""
    partial: dict[tuple[int, int, int], list[str]] = {}
    for code, figure in task.languages.items():
        sizes = (figure.rows, figure.rows_a, figure.rows_b)
        if len(set(sizes)) > 1:
            partial.setdefault(sizes, []).append(code)
    return [
        f"{' '.join(codes)}: {count(rows)} rows are in both runs and count "
        f"({a} has {count(in_a)}, {b} has {count(in_b)})"
        for (rows, in_a, in_b), codes in partial.items()
    ]


def evaluation_notes(comparison: Comparison, a: str = "A", b: str = "B") -> list[str]:
    """Notes on evaluations whose dtypes or tokenizers differ; `a` and `b` are the names of the runs."""
    other = f"The tokenizers differ: perplexities of both are per token of {a}, computed from bits per byte."
    return [other] * bool(comparison.other_tokenizer) + [
        f"{name}: {a} was evaluated in {dtypes.a}, {b} in {dtypes.b}; the changes include the effect of rounding."
        for name, dtypes in (comparison.dtypes or {}).items()
    ]


def left_out_notes(comparison: Comparison, a: str = "A", b: str = "B") -> list[str]:
    """Names the evaluations of only one of the runs, called `a` and `b`, and why translations are not compared."""
    left_out, reason = comparison.left_out, comparison.translation_note
    notes = [f"translation: not compared ({reason})"] if reason else []
    return notes + [
        f"only in {side}, left out: {', '.join(names)}"
        for side, names in ((a, left_out.only_a), (b, left_out.only_b))
        if names
    ]


def mask_note(comparison: Comparison) -> str:
    """The overlap of the masks, or the reason for its absence."""
    masks, note = comparison.masks, comparison.masks_note
    if masks is None:
        return f"masks: {note}" if note in NO_MASKS.values() else f"masks: not compared ({note})"
    kept = [percent(share) for share in masks.density]
    return (
        f"masks: IoU {fraction(masks.overall)} of the kept weights ({fraction(masks.independent)} if the "
        f"masks were independent); A keeps {kept[0]}%, B {kept[1]}%"
    )


def mask_parts(comparison: Comparison) -> list[tuple[str, Sequence[tuple[str, str]]]]:
    """("layer", (number, IoU) of each) and ("kernel", (name, IoU) of each); empty if masks are not compared."""
    masks = comparison.masks
    if masks is None:
        return []
    layers = [(str(layer), fraction(share)) for layer, share in enumerate(masks.layers)]
    kernels = [(name, fraction(share)) for name, share in masks.by_kernel.items()]
    return [("layer", layers), ("kernel", kernels)]
