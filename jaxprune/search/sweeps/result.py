"""The folders of a sweep → the comparison of its variants with the dense model, and a value for each axis."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jaxprune.base.errors import InputError
from jaxprune.base.text import NONE, NotebookTable, Table
from jaxprune.evaluation.change_tables import overview_tables
from jaxprune.evaluation.changes import MEAN, MEAN_NON_ENGLISH, Change
from jaxprune.evaluation.comparison import Comparison, compare_evaluations
from jaxprune.evaluation.folders import open_evaluation
from jaxprune.evaluation.measurements import Measurement, evaluated_folders, frame
from jaxprune.report.charts.chart import Chart
from jaxprune.search.sweeps.config import SweepConfig
from jaxprune.search.sweeps.jobs import evaluation_languages, unfinished
from jaxprune.search.sweeps.over_draws import Drawn, drawn_changes
from jaxprune.search.sweeps.variants import SOURCE, Variant, axis_text, label_names, variants

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResult(NotebookTable):
    """The comparison of all finished variants with the dense model. Notebooks show it as tables.

    Attributes:
      model: `model` of the config.
      axes: paths of the axes of the grid.
      variants: finished variants, the dense model first.
      comparison: comparison of these variants with the dense model.
      drawn: changes over the draws of the calibration text; none without several draws.
      missing: names of the variants that are not finished.
      left_out: reasons, by product of the axes that is no variant.
    """

    model: str
    axes: Sequence[str]
    variants: Sequence[Variant]
    comparison: Comparison
    drawn: Sequence[Drawn]
    missing: Sequence[str]
    left_out: Mapping[str, str]

    @property
    def table(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each measurement, and a column for each axis; see `Measurement`."""
        return self._with_axes(self.comparison.measurements, Measurement._fields)

    @property
    def changes(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each change against the dense model; see `Change`."""
        return self._with_axes(self.comparison.changes, Change._fields)

    def plot(self) -> Chart:
        """The changes of every variant by language with intervals: points of each task, and ratios of perplexity."""
        return self.comparison.plot()

    def _with_axes(
        self, records: Iterable[Measurement | Change], fields: Sequence[str]
    ) -> "pandas.DataFrame":
        """Records with the axes after the name of the run; axes that a variant does not read are empty."""
        values = {
            variant.name: [
                axis_text(variant, path) if path in variant.axes else None for path in self.axes
            ]
            for variant in self.variants
        }
        rows = [(record.run, *values[record.run], *record[1:]) for record in records]
        return frame(rows, [fields[0], *self.axes, *fields[1:]])

    @functools.cached_property
    def own_tables(self) -> list[Table]:
        """The paper's tables 2 to 4; none if the language of the text is no axis."""
        return _own_tables(self.variants, self.axes, self.comparison)

    @functools.cached_property
    def tables(self) -> list[Table]:
        """A table for each measure, with a row for each variant and a column for each axis and each language."""
        dense, *others = self.variants
        labels = {dense.name: [dense.name, *[NONE] * (len(self.axes) - 1)]}
        labels |= {v.name: [axis_text(v, path) for path in self.axes] for v in others}
        figures = (self.comparison.measurements, self.comparison.changes)
        return overview_tables(labels, *figures, label_names(self.axes))

    @property
    def main_tables(self) -> list[Table]:
        """The first table of each task, text and translation: the paper's if there is one."""
        first: dict[str, Table] = {}
        for table in self.own_tables or self.tables:
            first.setdefault(re.split("[:,]", table.title)[0], table)
        return list(first.values())

    @property
    def title(self) -> str:
        """The title of its page and tables."""
        return f"{Path(self.model).name}: changes against dense"

    def _shown(self) -> tuple[str, list[Table]]:
        return self.title, self.main_tables


def _own_tables(
    variants: Sequence[Variant], axes: Sequence[str], comparison: Comparison
) -> list[Table]:
    """A table for each measure, with the variant calibrated on text of a language in the column of that language.

    Variants that differ only in the language of their text share a row. Those without text, or on several languages,
    have rows of their own.

    Args:
      variants: the dense model first.
      axes: axes of the grid.
      comparison: comparison of the variants with the dense model.
    """
    if SOURCE not in axes or not variants[1:]:
        return []
    several = any(len(variant.languages) > 1 for variant in variants)
    axes = [path for path in axes if path != SOURCE or several] or [SOURCE]
    codes = dict.fromkeys(row.language for row in comparison.measurements)
    labels, rows = dict[str, list[str]](), dict[tuple[str, str], str]()
    for variant in variants:
        texts = [
            NONE if path == SOURCE and len(variant.languages) == 1 else axis_text(variant, path)
            for path in axes
        ]
        if variant is variants[0]:
            texts[0] = variant.name
        name = " ".join(texts)
        labels[name] = texts
        rows |= {(variant.name, code): name for code in variant.languages or codes}
    measurements = [
        row._replace(run=rows[row.run, row.language])
        for row in comparison.measurements
        if (row.run, row.language) in rows
    ]
    changes = [
        row._replace(run=rows[row.run, row.language])
        for row in comparison.changes
        if (row.run, row.language) in rows
    ]
    tables = overview_tables(labels, measurements, changes, label_names(axes))
    return [
        table._replace(title=f"{table.title}, in the language of the calibration")
        for table in tables
        if table.rows[1:]
    ]


def read_result(config: SweepConfig, workdir: Path) -> SweepResult:
    """Reads all variants that are finished, and compares them with the dense variant.

    Args:
      config: config of the sweep.
      workdir: workdir with sweep.json and the dense model's scores.

    Raises:
      InputError: no scores of the dense model; as `open_evaluation` and `compare_evaluations`.
    """
    planned, left_out = variants(config)
    dense, *others = planned
    if not any(evaluated_folders(workdir / dense.name)):
        raise InputError(
            f"{workdir / dense.name}: no scores; expected those of the dense model, the base of all changes"
        )
    missing = unfinished(others, config, workdir)
    codes = evaluation_languages(config)
    finished = [variant for variant in planned if variant not in missing]
    runs = [open_evaluation(workdir / v.name).within(codes).renamed(v.name) for v in finished]
    every = [run.about for run in runs[1:]]
    shared = [fact for fact in every[0] if all(fact in about for about in every)] if every else []
    runs = [dataclasses.replace(run, about=()) for run in runs]  # axes have columns
    unchanged = Comparison(evaluations=runs, changes=[])
    comparison = _whole_means(compare_evaluations(runs, config.seed)) if runs[1:] else unchanged
    if shared:
        note = f"All variants: {', '.join(shared)}."
        comparison = dataclasses.replace(comparison, notes=(note, *comparison.notes))
    return SweepResult(
        model=config.model,
        axes=[*config.sweep.grid],
        variants=finished,
        comparison=comparison,
        drawn=[*drawn_changes(finished, comparison.evaluations)],
        missing=[variant.name for variant in missing],
        left_out=left_out,
    )


def _whole_means(comparison: Comparison) -> Comparison:
    """The comparison without means over fewer languages than the dense model has, which differ between variants.

    It has no notes on these languages either, which `sweep.evaluate` omits.
    """
    languages = {
        (run.name, task): {*part.rows}
        for run in comparison.evaluations
        for task, part in run.parts.items()
    }
    changes = [
        row
        for row in comparison.changes
        if row.language not in (MEAN, MEAN_NON_ENGLISH)
        or languages[row.run, row.task] == languages[row.base, row.task]
    ]
    return dataclasses.replace(comparison, changes=changes, left_out=())
