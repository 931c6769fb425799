"""From the folders of a sweep to the paper's tables, as records. Needs no model.

A *row* is a calibration at a sparsity. In each language it shows the variant that was calibrated on text of
that language (the paper's tables 2 to 4), or the only one where the calibration has no language.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ml_collections import ConfigDict

from jaxprune.evaluation.comparison import (
    Comparison,
    Evaluated,
    LanguageComparison,
    MeanComparison,
    TaskComparison,
    compare_means,
    compare_runs,
    read_metrics,
    read_run,
    shared_rows,
)
from jaxprune.evaluation.scoring import ALPHA, holm, task_metrics
from jaxprune.evaluation.translation import TRANSLATION
from jaxprune.runs import read_report
from jaxprune.sweep.plan import DENSE, Variant, jobs, task_languages, variants
from jaxprune.sweep.records import (
    CalibrationFacts,
    CalibrationRow,
    Cell,
    CellP,
    DenseCell,
    DenseRow,
    Mean,
    RowCell,
    SweepMethod,
    SweepTables,
    TaskTables,
    VariantRow,
)
from jaxprune.sweep.translated import translation_tables

Runs = Mapping[Variant, Mapping[str, Evaluated]]
Comparisons = Mapping[Variant, Comparison]  # of each variant with dense
Group = tuple[str, float | None]  # calibration and sparsity


def sweep_tables(config: ConfigDict, workdir: Path) -> SweepTables:
    """Reads all variants and compares them with the dense one.

    Args:
      config: of the sweep.
      workdir: all its variants are whole.

    Raises:
      InputError: as `compare_runs`.
    """
    planned = variants(config)
    folders = {variant: workdir / variant.name for variant in planned}
    dense = folders[planned[0]]
    runs = {variant: read_run(folder) for variant, folder in folders.items()}
    comparisons = {
        variant: compare_runs(dense, folder, config.seed)
        for variant, folder in folders.items()
        if variant.calibration != DENSE
    }
    calibration = config.calibration
    return SweepTables(
        model=config.model,
        revision=config.revision,
        propagate=config.pruning.propagate,
        calibration=CalibrationFacts(
            data=calibration.data, target=calibration.target,
            shots=calibration.shots, samples=calibration.samples,
        ),
        tasks={
            task: _task_tables(task, codes, runs, comparisons, config.seed)
            for task, codes in task_languages(config).items()
        },
        translation=translation_tables(
            dense, _groups(comparisons), comparisons, jobs(planned[0], config).get(TRANSLATION, [])
        ),
        seconds=_seconds(folders),
        method=SweepMethod(
            ALPHA,
            "McNemar's exact test against dense, Holm's correction over the languages of a "
            "variant; in the table: over all its cells",
        ),
    )  # fmt: skip


def _task_tables(
    task: str, codes: Sequence[str], runs: Runs, comparisons: Comparisons, seed: int
) -> TaskTables:
    dense = next(iter(runs.values()))[task]
    of_task = {variant: comparison.tasks[task] for variant, comparison in comparisons.items()}
    rows = [
        _row(group, members, codes, of_task, {v: runs[v][task] for v in runs}, seed)
        for group, members in _groups(comparisons).items()
    ]
    return TaskTables(
        protocol=dense.protocol,
        dense=_dense(dense, codes),
        rows=_with_table_p(rows),
        variants=tuple(_variant(variant, of_task[variant], codes) for variant in of_task),
    )


def _groups(comparisons: Comparisons) -> dict[Group, list[Variant]]:
    """Variants by calibration and sparsity; what is not pruned comes last."""
    keys = dict.fromkeys((one.calibration, one.sparsity) for one in comparisons)
    order = sorted(keys, key=lambda key: (key[1] is None, key[1]))
    return {
        key: [one for one in comparisons if (one.calibration, one.sparsity) == key] for key in order
    }


def _dense(dense: Evaluated, codes: Sequence[str]) -> DenseRow:
    scored = {code: dense.languages[code] for code in codes}
    metrics = task_metrics(scored, parallel=dense.parallel)
    languages = {
        code: DenseCell(
            rows=figure.rows,
            accuracy=figure.accuracy,
            interval=figure.interval,
            rankc=figure.rankc.corrected if figure.rankc else None,
        )
        for code, figure in metrics.languages.items()
    }
    return DenseRow(languages, metrics.mean_non_english)


def _row(
    group: Group, members: Sequence[Variant], codes: Sequence[str],
    comparisons: Mapping[Variant, TaskComparison], runs: Mapping[Variant, Evaluated], seed: int,
) -> CalibrationRow:  # fmt: skip
    """A row whose cells do not know yet what the whole table makes of their p-values."""
    serving = {
        code: variant for code in codes for variant in members if variant.serves(code)
    }  # one at most
    cells = {
        code: RowCell(
            variant=variant.name,
            language=variant.language,
            **vars(_cell(comparisons[variant].languages[code])),
        )
        for code, variant in serving.items()
    }
    others = [code for code in codes if code != "en"]
    mean = None
    if others and {*others} <= serving.keys():
        dense = next(iter(runs.values())).languages
        pairs = {
            code: shared_rows(code, dense[code], runs[serving[code]].languages[code])
            for code in others
        }
        mean = _mean(compare_means(pairs, seed))
    calibration, sparsity = group
    return CalibrationRow(
        calibration=calibration, sparsity=sparsity, languages=cells, mean_non_english=mean
    )


def _with_table_p(rows: Sequence[CalibrationRow]) -> tuple[CalibrationRow, ...]:
    """The rows with p-values corrected over all their cells."""
    corrected = iter(holm([cell.p.mcnemar for row in rows for cell in row.languages.values()]))
    return tuple(
        dataclasses.replace(
            row,
            languages={
                code: _with_p(cell, next(corrected)) for code, cell in row.languages.items()
            },
        )
        for row in rows
    )


def _with_p(cell: RowCell, p: float) -> RowCell:
    both = dataclasses.replace(cell.p, holm_table=p)
    return dataclasses.replace(cell, p=both, significant_table=p <= ALPHA)


def _variant(variant: Variant, task: TaskComparison, codes: Sequence[str]) -> VariantRow:
    return VariantRow(
        variant=variant.name,
        calibration=variant.calibration,
        language=variant.language,
        sparsity=variant.sparsity,
        languages={code: _cell(task.languages[code]) for code in codes},
        mean_non_english=_mean(task.mean_non_english) if task.mean_non_english else None,
    )


def _cell(figure: LanguageComparison) -> Cell:
    """Of a comparison with dense, of which B is the variant."""
    p = figure.p
    assert p.mcnemar is not None  # of a language both are there
    assert p.holm is not None
    return Cell(
        rows=figure.rows,
        accuracy=figure.accuracy.b,
        interval=figure.accuracy_interval.b,
        difference=figure.difference,
        difference_interval=figure.interval,
        p=CellP(mcnemar=p.mcnemar, holm=p.holm),
        significant=figure.significant,
        rankc=figure.rankc.b.corrected if figure.rankc else None,
    )


def _mean(mean: MeanComparison) -> Mean:
    return Mean(
        accuracy=mean.accuracy.b,
        difference=mean.difference,
        difference_interval=mean.interval,
        p=mean.p.bootstrap,
    )


def _seconds(folders: Mapping[Variant, Path]) -> dict[str, float]:
    """By stage, over all variants, as their own files tell."""
    stages: dict[str, float] = {}
    for folder in folders.values():
        report = read_report(folder)
        seconds = {} if report is None else {"prune": report.get("seconds", {}).get("total", 0.0)}
        for file in sorted(folder.glob("*/metrics.json")):
            seconds[file.parent.name] = read_metrics(file.parent).get("seconds", 0.0)
        for stage, took in seconds.items():
            stages[stage] = round(stages.get(stage, 0.0) + took, 3)
    return stages
