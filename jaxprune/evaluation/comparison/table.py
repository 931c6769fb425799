"""A comparison of two runs → titles, headers and rows of text, the same for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from jaxprune.evaluation.comparison.compare_json import (
    NO_MASKS,
    Comparison,
    ComparisonMethod,
    LanguageComparison,
    MeanComparison,
    MeanDifference,
    PerplexityComparison,
    Sides,
    TaskComparison,
    TranslationComparison,
)
from jaxprune.evaluation.scoring import ALPHA
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
# Means over rows: the attribute of a comparison, the title of its table, decimals.
MEASURES = (
    ("probability", "probability of the right option, %", 2),
    ("without_prior", "accuracy without the options' priors, %", 1),
    ("discrimination", "right option preferred within groups, % (chance 50)", 1),
)

Figures = LanguageComparison | MeanComparison


def figure_rows(figures: Mapping[str, Figures]) -> list[list[str]]:
    """The cells of languages and means by name, in the order of GROUPS; the name is short."""
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
    """Accuracy of both runs, the change in points, its interval, and p of the bootstrap."""
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
    """The measures besides accuracy by language, and their means, as far as they are known."""
    interval_of_change = [change, "95% interval", "p boot"]
    tables = [
        ("options chosen, %", _chosen, []),
        *((title, _mean_of(name, digits), interval_of_change) for name, title, digits in MEASURES),
        ("contrast within groups", _contrast, ["share, %", "95% interval"]),
    ]
    for title, cells, header in tables:
        rows = [[name, *cells(figure)] for name, figure in task.figures.items() if cells(figure)]
        if rows:
            yield TextTable(title, ["", *sides, *header], rows)


def _chosen(figure: Figures) -> list[str]:
    return [*map(option_shares, figure.chosen or ())]


def _contrast(figure: Figures) -> list[str]:
    if (one := figure.contrast) is None:
        return []
    return [*map(number, one.mean), percent(one.share, 0), interval(one.interval, _whole_percent)]


def _whole_percent(share: float) -> str:
    return percent(share, 0)


def _mean_of(name: str, digits: int) -> Callable[[Figures], list[str]]:
    def cells(figure: Figures) -> list[str]:
        one: MeanDifference | None = getattr(figure, name)
        if one is None:
            return []
        means = [percent(mean, digits) for mean in one.mean]
        bounds = point_interval(one.interval, digits)
        return [*means, points(one.difference, digits), bounds, p_value(one.p)]

    return cells


def vanished(task: TaskComparison) -> list[str]:
    """Notes on the languages whose significant change is none without the options' priors."""
    return [
        f"{name}: the significant change of {points(figure.difference)} points is not one without the options' "
        f"priors: {points(one.difference)} {point_interval(one.interval)}"
        for name, figure in task.languages.items()
        if figure.significant and (one := figure.without_prior) and one.p > ALPHA
    ]


def text_tables(comparison: Comparison) -> Iterator[TextTable]:
    """Tables of perplexity and translation, as far as both runs have them."""
    if comparison.perplexity:
        rows = perplexity_rows(comparison.perplexity, "{:.2f}".format)
        yield TextTable("perplexity", ["language", "tokens", "A", "B", "B/A", "95%"], rows)
    if translation := comparison.translation:
        bleu, chrf = ([f"{name} A", f"{name} B", "B−A", "p boot"] for name in ("BLEU", "chrF"))
        title = f"translation into {translation.target}; p boot: sacrebleu's paired bootstrap"
        header = ["language", "rows", *bleu, "p Holm  ", *chrf]
        yield TextTable(title, header, translation_rows(translation, _star))


def perplexity_rows(
    languages: Mapping[str, PerplexityComparison], show: Callable[[float], str] = number
) -> list[list[str]]:
    """Language, tokens, the perplexity of both runs, B's over A's and its interval."""
    return [
        [
            code,
            count(figure.tokens),
            *map(show, figure.perplexity),
            fraction(figure.ratio),
            interval(figure.interval, fraction),
        ]
        for code, figure in languages.items()
    ]


def translation_rows(
    translation: TranslationComparison, star: Callable[[bool], str] = lambda _: ""
) -> list[list[str]]:
    """Language, sentences, BLEU, its corrected p and chrF; a score is of both runs, with change and p."""
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
        f"B−A, its {method.confidence:.0%} interval and p boot: paired bootstrap over rows, or groups of rows where "
        f"the task has them ({count(method.resamples)} resamples, each drawn in all languages of a mean at once). "
        "p McN: McNemar's exact test. p Holm: p McN after Holm's correction over the languages of the "
        f"task; * significant: at most {method.alpha}. Gap to en: points behind English. RankC: "
        "consistency with English (corrected). Probability of the right option: softmax of the scores of a "
        "row's options, mean over rows. Without the options' priors: the mean score of each option is taken off. "
        "Within groups, as the hypotheses of a premise: how often the right option of a row is preferred to the same "
        "option in the other rows; contrast: by how much. Nothing of these is corrected."
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
    return [f"worst language: {', '.join(worst)}", *vanished(task)] + [
        f"{' '.join(codes)}: {count(rows)} rows are in both runs and count "
        f"(A has {count(a)}, B has {count(b)})"
        for (rows, a, b), codes in partial.items()
    ]


def dtype_notes(comparison: Comparison, a: str = "A", b: str = "B") -> list[str]:
    """Says in which dtypes the runs, called `a` and `b`, were evaluated, where these differ."""
    return [
        f"{name}: {a} was evaluated in {dtypes.a}, {b} in {dtypes.b}; the changes include the effect of rounding."
        for name, dtypes in (comparison.dtypes or {}).items()
    ]


def left_out_notes(comparison: Comparison) -> list[str]:
    """Names the tasks and languages that only one run has."""
    left_out = comparison.left_out
    return [
        f"only in {side}, left out: {', '.join(names)}"
        for side, names in (("A", left_out.only_a), ("B", left_out.only_b))
        if names
    ]


def mask_note(comparison: Comparison) -> str:
    """The overlap of the masks, or the reason why it is not reported."""
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
    kernels = [(name, fraction(share)) for name, share in masks.by_kernel.items()]
    return [("layer", layers), ("kernel", kernels)]
