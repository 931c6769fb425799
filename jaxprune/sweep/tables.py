"""From the folders of a sweep to the paper's tables, as records. Needs no model.

A *row* is a calibration at a sparsity. In each language it shows the variant that was calibrated on text of
that language (the paper's tables 2 to 4), or the only one where the calibration has no language.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from jaxprune.config import Config
from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import (
    Comparison,
    Evaluated,
    LanguageComparison,
    MeanComparison,
    ProbabilityComparison,
    TaskComparison,
    compare_means,
    compare_runs,
    read_metrics,
    read_run,
    shared_rows,
)
from jaxprune.evaluation.scoring import ALPHA, holm, task_metrics
from jaxprune.ledger import read_report
from jaxprune.sweep.perplexities import perplexity_tables
from jaxprune.sweep.plan import (
    DENSE,
    Group,
    Variant,
    evaluation_languages,
    task_names,
    variants,
)
from jaxprune.sweep.records import (
    CalibrationFacts,
    CalibrationRow,
    Cell,
    CellP,
    DenseCell,
    DenseRow,
    Mean,
    ProbabilityCell,
    RowCell,
    SweepMethod,
    SweepTables,
    TaskTables,
    VariantRow,
)
from jaxprune.sweep.translated import translation_tables

Runs = Mapping[Variant, Mapping[str, Evaluated]]
Comparisons = Mapping[Variant, Comparison]  # of each variant with dense


def sweep_tables(config: Config, workdir: Path) -> SweepTables:
    """Reads all variants and compares them with the dense one.

    Args:
      config: of the sweep.
      workdir: all its variants are whole.

    Raises:
      InputError: as `compare_runs`.
    """
    planned = variants(config)
    folders = {variant: workdir / variant.name for variant in planned}
    codes = evaluation_languages(config)
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
            for task in task_names(config)
        },
        translation=translation_tables(dense, _groups(comparisons), comparisons, codes),
        perplexity=perplexity_tables(config, dense, comparisons, codes),
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
    """Of a task, in those of some languages that it was asked in; a variant may have been asked in few of them."""
    first, run = next(iter(runs.items()))
    if task not in run:
        raise InputError(f"{first.name}: no scores of {task}; expected those of every task")
    dense = run[task]
    codes = [code for code in codes if code in dense.languages]
    of_task = {
        variant: comparison.tasks[task]
        for variant, comparison in comparisons.items()
        if task in comparison.tasks
    }
    evaluated = {variant: run[task] for variant, run in runs.items() if task in run}
    rows = [
        _row(group, members, codes, of_task, evaluated, seed)
        for group, members in _groups(of_task).items()
    ]
    return TaskTables(
        protocol=dense.protocol,
        dense=_dense(dense, codes),
        rows=_with_table_p(rows),
        variants=tuple(_variant(variant, of_task[variant], codes) for variant in of_task),
    )


def _groups(variants_compared: Iterable[Variant]) -> dict[Group, list[Variant]]:
    """Variants by the row that shows them; what is not pruned comes last."""
    groups: dict[Group, list[Variant]] = {}
    for one in variants_compared:
        groups.setdefault(one.group, []).append(one)
    order = sorted(groups, key=lambda group: (group.sparsity is None, group.sparsity))
    return {group: groups[group] for group in order}


def _dense(dense: Evaluated, codes: Sequence[str]) -> DenseRow:
    scored = {code: dense.languages[code] for code in codes}
    metrics = task_metrics(scored, parallel=dense.parallel)
    languages = {
        code: DenseCell(
            rows=figure.rows,
            accuracy=figure.accuracy,
            interval=figure.interval,
            rankc=figure.rankc.corrected if figure.rankc else None,
            probability=figure.probability,
        )
        for code, figure in metrics.languages.items()
    }
    others = [cell.probability for code, cell in languages.items() if code != "en"]
    mean = math.fsum(others) / len(others) if others else None
    return DenseRow(languages, metrics.mean_non_english, mean)


def _row(
    group: Group, members: Sequence[Variant], codes: Sequence[str],
    comparisons: Mapping[Variant, TaskComparison], runs: Mapping[Variant, Evaluated], seed: int,
) -> CalibrationRow:  # fmt: skip
    """A row whose cells do not know yet what the whole table makes of their p-values."""
    serving = {
        code: variant
        for code in codes
        for variant in members
        if variant.serves(code) and code in comparisons[variant].languages
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
    return CalibrationRow(**group._asdict(), languages=cells, mean_non_english=mean)


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
    there = [code for code in codes if code in task.languages]
    is_in_all = there == list(codes)
    return VariantRow(
        variant=variant.name,
        calibration=variant.calibration,
        language=variant.language,
        sparsity=variant.sparsity,
        languages={code: _cell(task.languages[code]) for code in there},
        mean_non_english=_mean(task.mean_non_english)
        if is_in_all and task.mean_non_english
        else None,
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
        probability=_probability(figure.probability),
    )


def _mean(mean: MeanComparison) -> Mean:
    return Mean(
        accuracy=mean.accuracy.b,
        difference=mean.difference,
        difference_interval=mean.interval,
        p=mean.p.bootstrap,
        probability=_probability(mean.probability),
    )


def _probability(found: ProbabilityComparison | None) -> ProbabilityCell:
    assert found is not None  # of a comparison that this version makes
    return ProbabilityCell(
        mean=found.mean.b, difference=found.difference, interval=found.interval, p=found.p
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
