"""The paper's tables: in each language of a row, the variant that was calibrated on text of that language."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from jaxprune.base.text import NONE, Table
from jaxprune.evaluation.changes import MEAN_NON_ENGLISH, Change, mean_changes
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.measurements import MEASURES, Measurement
from jaxprune.evaluation.views import overview_tables, table_stars
from jaxprune.sweeps.variants import SOURCE, Variant, axis_text, label_names

_Record = TypeVar("_Record", Measurement, Change)
# The name of a row without labels: if the language is the only axis.
_NAME = "own"


class OwnRows(NamedTuple):
    """The rows of the paper's tables: the variants that differ only in the language of their text.

    Attributes:
      axes: those of the labels.
      labels: the values of the axes by name of the row, the dense model first; none if the language is no axis.
      measurements, changes: of the cells, with the name of the row as that of the run. Changes of a mean over the
        languages other than English are of the rows that have all of them.
    """

    axes: Sequence[str]
    labels: Mapping[str, Sequence[str]]
    measurements: Sequence[Measurement]
    changes: Sequence[Change]


def own_rows(
    variants: Sequence[Variant], axes: Sequence[str], comparison: Comparison, seed: int
) -> OwnRows:
    """The rows of variants, and their cells.

    Args:
      variants: the dense model first.
      axes: of the grid.
      comparison: of the variants with the dense model.
      seed: of the bootstrap.
    """
    if SOURCE not in axes or not variants[1:]:
        return OwnRows(axes, {}, [], [])
    several = any(len(variant.languages) > 1 for variant in variants)
    axes = [path for path in axes if path != SOURCE or several] or [SOURCE]
    codes = list(dict.fromkeys(row.language for row in comparison.measurements))
    labels = dict[str, list[str]]()
    rows = dict[str, dict[str, str]]()  # by language the variant of each
    for variant in variants:
        texts = [
            NONE if path == SOURCE and len(variant.languages) == 1 else axis_text(variant, path)
            for path in axes
        ]
        if variant is variants[0]:
            texts[0] = variant.name
        name = " ".join(text for text in texts if text != NONE) or _NAME
        labels[name] = texts
        served = {code: variant.name for code in codes if code in (variant.languages or codes)}
        rows.setdefault(name, {}).update(served)
    names = {(run, code): name for name, runs in rows.items() for code, run in runs.items()}
    changes = sorted(_renamed(comparison.changes, names), key=lambda row: codes.index(row.language))
    for name in [*rows][1:]:
        changes += _means(name, rows[name], comparison, seed)
    return OwnRows(axes, labels, _renamed(comparison.measurements, names), changes)


def _renamed(records: Iterable[_Record], names: Mapping[tuple[str, str], str]) -> list[_Record]:
    """The records of cells, under the names of their rows."""
    return [
        row._replace(run=names[row.run, row.language])
        for row in records
        if (row.run, row.language) in names
    ]


def _means(
    name: str, runs: Mapping[str, str], comparison: Comparison, seed: int
) -> Iterator[Change]:
    """The changes of a row's means over the languages other than English; none of a task that lacks one."""
    evaluations = {run.name: run for run in comparison.evaluations}
    dense = comparison.evaluations[0]
    for task in dense.tasks:
        pairs = {}
        others = [code for code in dense.scored(task) if code != "en"]
        for code in others:
            run = evaluations.get(runs.get(code, ""))
            if run and task in run.parts and code in run.scored(task):
                pairs[code] = (dense.scored(task)[code], run.scored(task)[code])
        if others and len(pairs) == len(others):
            yield from mean_changes((name, dense.name, task), MEAN_NON_ENGLISH, pairs, seed)


def own_tables(rows: OwnRows) -> list[Table]:
    """A table for each measure."""
    if not rows.labels:
        return []
    tested, stars = dict[str, list[Change]](), dict[tuple[str, str, str], str]()
    for row in rows.changes:
        if row.p_holm is not None:
            tested.setdefault(f"{row.task}: {MEASURES[row.measure].title}", []).append(row)
    for cells in tested.values():
        stars |= table_stars(cells)
    figures = (rows.measurements, rows.changes)
    return [
        table._replace(
            title=f"{table.title}, in the language of the calibration",
            note=_note(tested.get(table.title, [])),
        )
        for table in overview_tables(rows.labels, *figures, label_names(rows.axes), stars)
        if table.rows[1:]
    ]


def _note(tested: Sequence[Change]) -> str:
    families = ", ".join(sorted({row.family for row in tested}))
    if not tested:
        return ""
    return (
        f"*: significant after Holm's correction over a variant's languages ({families}), **: also over the "
        f"{len(tested)} cells of this table; means are not tested"
    )
