"""The folders of a sweep → the comparison of its variants with the dense model, and a value for each axis."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jaxprune.base.text import NONE, NotebookTable, Table
from jaxprune.data import MIX
from jaxprune.evaluation import Evaluation, Measurement, open_evaluation
from jaxprune.evaluation.changes import MEAN, MEAN_NON_ENGLISH, Change
from jaxprune.evaluation.comparison import Comparison, compare_evaluations
from jaxprune.evaluation.measurements import frame
from jaxprune.report.charts import Chart
from jaxprune.sweeps.config import SweepConfig
from jaxprune.sweeps.finished import unfinished
from jaxprune.sweeps.grid import value_text
from jaxprune.sweeps.jobs import evaluation_languages
from jaxprune.sweeps.over_draws import Drawn, drawn_changes
from jaxprune.sweeps.variants import SOURCE, Variant, variants

if TYPE_CHECKING:
    import pandas


class Row(NamedTuple):
    """A row of the paper's tables: the variants that differ only in the language of their text.

    Attributes:
      labels: the values of the other axes.
      runs: by language the variant that was calibrated on its text, or the only variant.
    """

    labels: tuple[str, ...]
    runs: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, repr=False)
class SweepResult(NotebookTable):
    """The comparison of all finished variants with the dense model. Notebooks show it as tables.

    Attributes:
      model, seed: of the config.
      axes: paths of the axes of the grid.
      variants: that are finished, the dense model first.
      comparison: of these variants with the dense model.
      drawn: changes over the draws of the calibration text; none without several draws.
      missing: names of the variants that are not finished.
      left_out: reasons, by product of the axes that is no variant.
    """

    model: str
    seed: int
    axes: Sequence[str]
    variants: Sequence[Variant]
    comparison: Comparison
    drawn: Sequence[Drawn]
    missing: Sequence[str]
    left_out: Mapping[str, str]

    @property
    def table(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each measurement, and a column for each axis; see `Measurement`."""
        return frame(self.measured(self.comparison.measurements), self.columns(Measurement._fields))

    @property
    def changes(self) -> "pandas.DataFrame":
        """A pandas DataFrame with a row for each change against the dense model; see `Change`."""
        return frame(self.measured(self.comparison.changes), self.columns(Change._fields))

    def plot(self) -> Chart:
        """The changes of every variant by language with intervals: points of each task, and ratios of perplexity."""
        return self.comparison.plot()

    def columns(self, fields: Sequence[str]) -> list[str]:
        """The fields of a record with the axes after the name of the run."""
        return [fields[0], *self.axes, *fields[1:]]

    def measured(self, records: Iterable[Measurement | Change]) -> list[tuple[object, ...]]:
        """Records with the values of the axes; those that a variant does not read are empty."""
        values = {
            variant.name: [
                axis_text(variant, path) if path in variant.axes else None for path in self.axes
            ]
            for variant in self.variants
        }
        return [(record.run, *values[record.run], *record[1:]) for record in records]

    @property
    def own_axes(self) -> list[str]:
        """The axes in the paper's tables: the language of the text only if variants have several."""
        several = any(len(variant.languages) > 1 for variant in self.variants)
        return [path for path in self.axes if path != SOURCE or several] or [SOURCE]

    def labels(self, axes: Sequence[str]) -> dict[str, list[str]]:
        """The values of axes of each variant; of the dense model its name."""
        dense, *others = self.variants
        values = {variant.name: [axis_text(variant, path) for path in axes] for variant in others}
        return {dense.name: [dense.name, *[NONE] * (len(axes) - 1)], **values}

    @property
    def own_rows(self) -> list[Row]:
        """The rows of the paper's tables; none if the language of the text is no axis."""
        if SOURCE not in self.axes:
            return []
        groups: dict[tuple[str, ...], dict[str, str]] = {}
        codes = dict.fromkeys(row.language for row in self.comparison.measurements)
        for variant in self.variants[1:]:
            labels = (
                NONE if path == SOURCE and len(variant.languages) == 1 else axis_text(variant, path)
                for path in self.own_axes
            )
            served = [code for code in codes if code in (variant.languages or codes)]
            groups.setdefault(tuple(labels), {}).update(dict.fromkeys(served, variant.name))
        return [Row(labels, runs) for labels, runs in groups.items() if runs]

    def _shown(self) -> tuple[str, list[Table]]:
        from jaxprune.sweeps.views import main_tables  # late: it imports this file

        return f"{Path(self.model).name}: changes against dense", main_tables(self)


def label_names(axes: Sequence[str]) -> list[str]:
    """The titles of axes: their names, and of those of recovery the paths."""
    return [path if path.startswith("recovery.") else path.rpartition(".")[2] for path in axes]


def axis_text(variant: Variant, path: str) -> str:
    """The value of an axis in a table; NONE if the variant does not read it."""
    if variant.axes.get(path) is None:
        return NONE
    value = variant.axes[path]
    return MIX.join(value) if path == SOURCE else value_text(path, value)


def read_result(config: SweepConfig, workdir: Path) -> SweepResult:
    """Reads all variants that are finished, and compares them with the dense variant.

    Args:
      config: of the sweep.
      workdir: with the dense model's scores.

    Raises:
      InputError: no scores of the dense model; as `open_evaluation` and `compare_evaluations`.
    """
    planned, left_out = variants(config)
    missing = unfinished(planned, config, workdir)
    codes = evaluation_languages(config)
    finished = [variant for variant in planned if variant not in missing]
    runs = [
        _renamed(open_evaluation(workdir / variant.name).within(codes), variant)
        for variant in finished
    ]
    alone = Comparison(evaluations=runs, changes=[])
    comparison = _whole_means(compare_evaluations(runs, config.seed)) if runs[1:] else alone
    return SweepResult(
        model=config.model,
        seed=config.seed,
        axes=[*config.sweep.grid],
        variants=finished,
        comparison=comparison,
        drawn=[*drawn_changes(finished, comparison.evaluations, config.seed)],
        missing=[variant.name for variant in missing],
        left_out=left_out,
    )


def _renamed(run: Evaluation, variant: Variant) -> Evaluation:
    return dataclasses.replace(run, name=variant.name)


def _whole_means(comparison: Comparison) -> Comparison:
    """The comparison without means over fewer languages than the dense model has, which differ between variants."""
    languages = {
        run.name: {name: {*part.rows} for name, part in run.parts.items()}
        for run in comparison.evaluations
    }
    dense = languages[comparison.names[0]]
    changes = [
        row
        for row in comparison.changes
        if row.language not in (MEAN, MEAN_NON_ENGLISH)
        or languages[row.run][row.task] == dense[row.task]
    ]
    return dataclasses.replace(comparison, changes=changes)
