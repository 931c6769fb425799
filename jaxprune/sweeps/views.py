"""A sweep's comparison → tables of text: every variant, the paper's tables, and the changes over draws."""

from collections.abc import Iterator, Mapping, Sequence

from jaxprune.base.errors import listed
from jaxprune.base.text import NONE, Table, interval, signed
from jaxprune.evaluation.changes import MEAN_NON_ENGLISH, Change, mean_changes
from jaxprune.evaluation.measurements import MEASURES
from jaxprune.evaluation.scoring import ALPHA, PERPLEXITY
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.evaluation.views import (
    by_key,
    overview_cell,
    overview_tables,
    show_difference,
    show_value,
    table_stars,
    verdict,
)
from jaxprune.sweeps.over_draws import LOG_PERPLEXITY, Drawn
from jaxprune.sweeps.tables import Row, SweepResult, label_names

# The measure that leads in each kind of evaluation.
_FIRST = {PERPLEXITY: "perplexity", TRANSLATION: "bleu"}
ABOUT_OWN = (
    "A row is a calibration. In each language it shows the variant that was calibrated on text of that language, so "
    "its cells may be of different models; variants without text, or on several languages, are one model."
)
ABOUT_DRAWS = (
    "Means over the draws of the calibration text. In brackets the 95% interval of a mixed model with random effects "
    "of draws and of groups of rows, or of parts of the text; then the interval of a bootstrap of both, which is too "
    "narrow for few draws. Changes of shares are in points; no p is corrected."
)


def all_tables(result: SweepResult) -> list[Table]:
    """For each measure a table with a row for each variant, a column for each axis and each language."""
    compared, axes = result.comparison, result.axes
    labels = (result.labels(axes), label_names(axes))
    return overview_tables(compared.evaluations, compared.changes, *labels)


def own_tables(result: SweepResult) -> list[Table]:
    """The paper's tables 2 to 4: for each measure a table with the rows of `own_rows`, and the mean of a row."""
    rows = result.own_rows
    figures = by_key(result.comparison.measurements)
    tasks = dict.fromkeys(task for _, task, _, _ in figures) if rows else ()
    tables = []
    for task in tasks:
        codes = list(dict.fromkeys(code for _, of, code, _ in figures if of == task))
        means = {row.labels: _row_means(result, row, task, codes) for row in rows}
        measures = {measure for _, of, _, measure in figures if of == task}
        for measure in (name for name in MEASURES if name in measures):
            tables.append(_own_table(result, task, measure, codes, means))
    return [table for table in tables if table.rows[1:]]


def _own_table(
    result: SweepResult,
    task: str,
    measure: str,
    codes: Sequence[str],
    means: Mapping[tuple[str, ...], Mapping[str, Change]],
) -> Table:
    figures, dense = by_key(result.comparison.measurements), result.variants[0].name
    keyed = {(row.run, row.language): row for row in own_changes(result, task, measure)}
    tested = [row for row in keyed.values() if row.p_holm is not None]
    stars = table_stars(tested)
    row_means = {
        labels: by_measure[measure] for labels, by_measure in means.items() if measure in by_measure
    }

    def cells(runs: Mapping[str, str], mean: str) -> list[str]:
        shown = []
        for code in codes:
            run = runs.get(code, "")
            change = keyed.get((run, code))
            star = stars.get((run, task, code), "")
            shown.append(overview_cell(figures.get((run, task, code, measure)), change, star))
        return [*shown, *([mean] if row_means else [])]

    base = show_value(measure, next((mean.base_value for mean in row_means.values()), None))
    lines = [[*result.labels(result.own_axes)[dense], *cells(dict.fromkeys(codes, dense), base)]]
    for row in result.own_rows:
        line = cells(row.runs, overview_cell(None, row_means.get(row.labels)))
        if {*line} != {NONE}:
            lines.append([*row.labels, *line])
    header = [*label_names(result.own_axes), *codes, *([MEAN_NON_ENGLISH] if row_means else [])]
    note = (
        f"*: significant after Holm's correction over a variant's languages ({_families(tested)}), **: also over the "
        f"{len(tested)} cells of this table; means are not tested"
    )
    title = f"{task}: {MEASURES[measure].title}, in the language of the calibration"
    return Table(title, header, lines, note=note if tested else "")


def _families(tested: Sequence[Change]) -> str:
    return ", ".join(sorted({row.family for row in tested}))


def own_changes(result: SweepResult, task: str, measure: str) -> list[Change]:
    """The changes in the cells of the paper's tables; of all variants if these have no rows."""
    rows = [row for row in result.comparison.changes if (row.task, row.measure) == (task, measure)]
    rows = [row for row in rows if not row.language.startswith("mean")]
    if not result.own_rows:
        return rows
    own = {(run, code) for row in result.own_rows for code, run in row.runs.items()}
    return [row for row in rows if (row.run, row.language) in own]


def own_row_changes(result: SweepResult) -> list[Change]:
    """The changes of all measures in the cells of the paper's tables, with the name of a row as that of the run."""
    names = {
        (run, code): " ".join(label for label in row.labels if label != NONE)
        for row in result.own_rows
        for code, run in row.runs.items()
    }
    return [
        row._replace(run=names[row.run, row.language])
        for row in result.comparison.changes
        if (row.run, row.language) in names
    ]


def _row_means(result: SweepResult, row: Row, task: str, codes: Sequence[str]) -> dict[str, Change]:
    """By measure the change of a row's mean over the languages other than English; empty if one is missing."""
    runs = {run.name: run for run in result.comparison.evaluations}
    dense, others = result.comparison.evaluations[0], [code for code in codes if code != "en"]
    if task in _FIRST or not others:
        return {}
    pairs = {}
    for code in others:
        run = runs.get(row.runs.get(code, ""))
        if run is None or task not in run.parts or code not in run.scored(task):
            return {}
        pairs[code] = (dense.scored(task)[code], run.scored(task)[code])
    source = (" ".join(row.labels), dense.name, task)
    means = mean_changes(source, MEAN_NON_ENGLISH, pairs, result.seed)
    return {mean.measure: mean for mean in means}


def main_tables(result: SweepResult) -> list[Table]:
    """The first table of each task, text and translation: the paper's if there is one."""
    tables = own_tables(result) or all_tables(result)
    first: dict[str, Table] = {}
    for table in tables:
        first.setdefault(table.title.partition(":")[0], table)
    return list(first.values())


def drawn_tables(drawn: Sequence[Drawn]) -> list[Table]:
    """A table for each measure and reference, with a row for each calibration."""
    tables = []
    for task, measure, against in dict.fromkeys((d.task, d.measure, d.against) for d in drawn):
        rows = [d for d in drawn if (d.task, d.measure, d.against) == (task, measure, against)]
        codes = list(dict.fromkeys(row.language for row in rows))
        if MEAN_NON_ENGLISH in codes:  # the last column
            codes.append(codes.pop(codes.index(MEAN_NON_ENGLISH)))
        cells = {(row.variants, row.language): _drawn_cell(row) for row in rows}
        lines = [
            [name, *(cells.get((name, code), NONE) for code in codes)]
            for name in dict.fromkeys(row.variants for row in rows)
        ]
        title = f"{task}: {measure.replace('_', ' ')}, change against {against}"
        tables.append(Table(title, ["variants", *codes], lines))
    return tables


def _drawn_cell(row: Drawn) -> str:
    """As "+0.45 [−0.10, +1.01], bootstrap [+0.02, +0.90]"."""
    scale = 1 if row.measure == LOG_PERPLEXITY else 100

    def show(value: float) -> str:
        return signed(scale * value, 2)

    mixed = "" if row.low is None or row.high is None else f" {interval((row.low, row.high), show)}"
    bootstrap = interval((row.bootstrap_low, row.bootstrap_high), show)
    return f"{show(row.difference)}{mixed}, bootstrap {bootstrap}"


def conclusions(result: SweepResult) -> Iterator[str]:
    """A sentence for each task and translation: what is significantly better or worse than dense."""
    changes = result.comparison.changes
    without_prior = {
        (row.run, row.task, row.language): row.p
        for row in changes
        if row.measure == "accuracy_without_prior"
    }
    for task in dict.fromkeys(row.task for row in changes):
        measure = _FIRST.get(task, "accuracy")
        cells = [row for row in own_changes(result, task, measure) if row.p_holm is not None]
        if not cells:
            continue
        better = [row for row in cells if verdict(row) == "better"]
        worse = [row for row in cells if verdict(row) == "worse"]
        vanished = [
            row
            for row in (*better, *worse)
            if (without_prior.get((row.run, task, row.language)) or 0.0) > ALPHA
        ]
        count = f"{len(worse)} of {len(cells)} cells"
        sentence = f"{task}: significantly better than dense: {_named(better)}; worse: {count}"
        if vanished:
            sentence += f"; significant, but not without the options' priors: {_named(vanished)}"
        yield f"{sentence}."


def _named(rows: Sequence[Change]) -> str:
    shown = [
        f"{row.run} {row.language} ({show_difference(row.measure, row.difference)})" for row in rows
    ]
    return ", ".join(shown) or "none"


def notes(result: SweepResult) -> list[str]:
    """Sentences on what is missing, and on what cannot be compared."""
    sentences = []
    if result.missing:
        names = listed(result.missing)
        count = len(result.missing)
        sentences.append(
            f"Unfinished: {count} variants are missing, and so are their figures: {names}"
        )
    overlaps = {
        run.name: part.facts.get("calibration_overlap")
        for run in result.comparison.evaluations
        if (part := run.parts.get(PERPLEXITY))
    }
    shared = ", ".join(f"{name} ({' '.join(codes)})" for name, codes in overlaps.items() if codes)
    if shared:
        sentences.append(
            f"Calibration sets that contain lines of the text of perplexity: {shared}."
        )
    return [*sentences, *dict.fromkeys(result.comparison.notes)]
