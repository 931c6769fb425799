"""The folders of a sweep → the paper's tables, as the records of `tables_json`. Needs no model.

A *row* is a calibration at a sparsity. In each language it shows the variant that was calibrated on text of that
language (the paper's tables 2 to 4), or the only variant if the calibration has no language.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxprune.config import SweepConfig
from jaxprune.errors import InputError
from jaxprune.evaluation import comparison
from jaxprune.evaluation.metrics_json import METRICS, read_metrics
from jaxprune.evaluation.scoring import ALPHA, MEASURES, PERPLEXITY, Scored, holm, task_metrics
from jaxprune.evaluation.translation import TranslationResult
from jaxprune.ledger import read_report
from jaxprune.sweeps import plan, tables_json
from jaxprune.sweeps.finished import unfinished
from jaxprune.sweeps.over_draws import Runs, drawn_rows
from jaxprune.sweeps.plan import DENSE, Variant

Comparisons = Mapping[Variant, comparison.Comparison]  # of each variant with dense


def sweep_tables(config: SweepConfig, workdir: Path) -> tables_json.SweepTables:
    """Reads all variants that are finished, and compares them with the dense one.

    Args:
      config: of the sweep.
      workdir: with the dense model's scores.

    Raises:
      InputError: no scores of the dense model; as `open_run` and `comparison_of`.
    """
    planned = plan.variants(config)
    missing, codes = unfinished(planned, config, workdir), plan.evaluation_languages(config)
    runs = {
        variant: comparison.open_run(workdir / variant.name).within(codes)
        for variant in planned
        if variant not in missing
    }
    dense = next(iter(runs.values()))
    comparisons = {
        variant: comparison.comparison_of(comparison.Sides(dense, run), config.seed)
        for variant, run in runs.items()
        if variant.calibration != DENSE
    }
    calibration = config.calibration
    return tables_json.SweepTables(
        model=config.model,
        revision=config.revision,
        propagate=config.pruning.propagate,
        calibration=tables_json.CalibrationFacts(
            data=calibration.data, target=calibration.target,
            shots=calibration.shots, samples=calibration.samples,
        ),
        tasks={
            task: _task_tables(task, codes, runs, comparisons, config.seed)
            for task in plan.task_names(config)
        },
        translation=_translation_tables(workdir / DENSE, comparisons, codes),
        perplexity=_perplexity_tables(config, workdir, dense, comparisons),
        seconds=_seconds([workdir / variant.name for variant in runs]),
        method=tables_json.SweepMethod(
            ALPHA,
            "McNemar's exact test against dense, Holm's correction over the languages of a "
            "variant; in the table: over all its cells",
        ),
        draws=tuple(drawn_rows(runs, config.seed)) or None,
        missing=tuple(one.name for one in missing) or None,
    )  # fmt: skip


def _task_tables(
    task: str, codes: Sequence[str], runs: Runs, comparisons: Comparisons, seed: int
) -> tables_json.TaskTables:
    """The tables in the evaluated languages of the task; a variant may have only some of them."""
    first, run = next(iter(runs.items()))
    if task not in run.tasks:
        raise InputError(f"{first.name}: no scores of {task}; expected those of every task")
    dense = run.tasks[task]
    codes = [code for code in codes if code in dense.languages]
    compared = {
        variant: one.tasks[task] for variant, one in comparisons.items() if task in one.tasks
    }
    scored = {variant: runs[variant].tasks[task] for variant in compared}
    shown = plan.by_row({variant: one.languages for variant, one in compared.items()}, codes)
    figures = [figure for row in shown.values() for _, figure in row.values()]
    adjusted = iter(holm([figure.p.mcnemar or 0.0 for figure in figures]))
    rows = [
        tables_json.CalibrationRow(
            **group._asdict(),
            languages={
                code: tables_json.RowCell(
                    variant=variant.name, language=variant.language,
                    **_cell(figure, next(adjusted)),
                )
                for code, (variant, figure) in row.items()
            },
            mean_non_english=_row_mean(
                {code: scored[variant].languages[code] for code, (variant, _) in row.items()},
                codes, dense, seed,
            ),
        )
        for group, row in shown.items()
    ]  # fmt: skip
    others = [
        tables_json.VariantRow(
            **variant.facts,
            languages={
                c: tables_json.Cell(**_cell(one.languages[c])) for c in codes if c in one.languages
            },
            mean_non_english=_mean(one.mean_non_english if {*codes} <= {*one.languages} else None),
        )
        for variant, one in compared.items()
    ]
    return tables_json.TaskTables(
        protocol=dense.protocol,
        dense=_dense(dense, codes),
        rows=tuple(rows),
        variants=tuple(others),
    )


def _dense(dense: comparison.Evaluated, codes: Sequence[str]) -> tables_json.DenseRow:
    scored = {code: dense.languages[code] for code in codes}
    metrics = task_metrics(scored, parallel=dense.parallel)
    languages = {
        code: tables_json.DenseCell(
            rows=figure.rows,
            accuracy=figure.accuracy,
            interval=figure.interval,
            rankc=figure.rankc.corrected if figure.rankc else None,
            probability=figure.probability,
            chosen=figure.chosen,
            without_prior=figure.accuracy_without_prior,
            discrimination=figure.discrimination,
        )
        for code, figure in metrics.languages.items()
    }
    return tables_json.DenseRow(languages, metrics.mean_non_english)


def _row_mean(
    row: Mapping[str, Scored], codes: Sequence[str], dense: comparison.Evaluated, seed: int
) -> tables_json.Mean | None:
    """The mean over the languages of a row; None if one of `codes` is missing."""
    others = [code for code in codes if code != "en"]
    if not others or not {*others} <= row.keys():
        return None
    pairs = {
        code: comparison.shared_rows(code, dense.languages[code], row[code]) for code in others
    }
    return _mean(comparison.compare_means(pairs, seed))


def _cell(figure: comparison.LanguageComparison, p_table: float | None = None) -> dict[str, Any]:
    """The fields of a `Cell` from a comparison of dense with a variant."""
    return {
        "rows": figure.rows,
        "accuracy": figure.accuracy.b,
        "interval": figure.accuracy_interval.b,
        "difference": figure.difference,
        "difference_interval": figure.interval,
        "p": tables_json.CellP(mcnemar=figure.p.mcnemar, holm=figure.p.holm, holm_table=p_table),
        "significant": figure.significant,
        "rankc": figure.rankc.b.corrected if figure.rankc else None,
        "chosen": figure.chosen.b,
        **_measures(figure),
        "significant_table": None if p_table is None else p_table <= ALPHA,
    }


def _mean(mean: comparison.MeanComparison | None) -> tables_json.Mean | None:
    if mean is None:
        return None
    return tables_json.Mean(
        accuracy=mean.accuracy.b,
        difference=mean.difference,
        difference_interval=mean.interval,
        p=mean.p.bootstrap,
        **_measures(mean),
    )


def _measures(figure: comparison.Figures) -> dict[str, tables_json.MeasureCell]:
    """The known measures besides accuracy."""
    return {
        measure.name: tables_json.MeasureCell(**{**vars(one), "mean": one.mean.b})
        for measure in MEASURES
        if (one := getattr(figure, measure.name)) is not None
    }


def _translation_tables(
    dense: Path, comparisons: Comparisons, codes: Sequence[str]
) -> tables_json.TranslationTables | None:
    """The paper's table 1: BLEU and chrF on the same sentences, in the rows of a task; None without translations.

    Args:
      dense: folder of the dense model.
      comparisons: of each variant with dense.
      codes: languages, in order.
    """
    result = TranslationResult.read(dense)
    if result is None:
        return None
    codes = [code for code in codes if code in result.languages]
    shown = plan.by_row(
        {v: one.translation.languages if one.translation else {} for v, one in comparisons.items()},
        codes,
    )
    figures = [figure for row in shown.values() for _, figure in row.values()]
    adjusted = iter(holm([figure.bleu.p for figure in figures]))
    rows = []
    for group, row in shown.items():
        cells = {code: _translation_cell(*one, next(adjusted)) for code, one in row.items()}
        rows.append(tables_json.TranslationRow(**group._asdict(), languages=cells))
    return tables_json.TranslationTables(
        target=result.protocol.target,
        shots=result.protocol.shots,
        data=result.about.get("data"),
        signatures=result.signatures,
        dense=tables_json.DenseTranslations({code: result.languages[code] for code in codes}),
        rows=tuple(rows),
    )


def _translation_cell(
    variant: Variant, figure: comparison.TranslationLanguage, p_table: float
) -> tables_json.TranslationCell:
    bleu, chrf = figure.bleu, figure.chrf
    return tables_json.TranslationCell(
        variant=variant.name,
        language=variant.language,
        rows=figure.rows,
        bleu=bleu.b,
        chrf=chrf.b,
        bleu_interval=bleu.interval_b,
        difference=tables_json.ScorePair(bleu.difference, chrf.difference),
        p=tables_json.TranslationP(bleu=bleu.p, chrf=chrf.p, holm=figure.holm, holm_table=p_table),
        significant=figure.significant,
        significant_table=p_table <= ALPHA,
    )


def _perplexity_tables(
    config: SweepConfig, workdir: Path, dense: comparison.EvaluatedRun, comparisons: Comparisons
) -> tables_json.PerplexityTables | None:
    """A row for each variant, on the same text; None without perplexities."""
    fields, codes, found = config.evaluation, plan.evaluation_languages(config), dense.perplexity
    if not found or fields.perplexity is None:
        return None
    rows = []
    for variant, compared in comparisons.items():
        cells = {
            code: tables_json.PerplexityCell(
                one.perplexity.b,
                one.ratio,
                one.interval,
                one.bits_per_byte.b if one.bits_per_byte else None,
            )
            for code in codes
            if (one := (compared.perplexity or {}).get(code))
        }
        if cells:
            overlap = read_metrics(workdir / variant.name / PERPLEXITY).get("calibration_overlap")
            rows.append(
                tables_json.PerplexityRow(
                    **variant.facts, languages=cells, calibration_overlap=overlap
                )
            )
    return tables_json.PerplexityTables(
        data=fields.perplexity,
        lines=fields.perplexity_lines,
        dense={
            code: tables_json.DensePerplexity(
                found[code].perplexity, found[code].tokens, found[code].bits_per_byte
            )
            for code in codes
            if code in found
        },
        variants=tuple(rows),
    )


def _seconds(folders: Sequence[Path]) -> dict[str, float]:
    """The seconds of each stage over all variants, from their files."""
    stages: dict[str, float] = {}
    for folder in folders:
        report = read_report(folder)
        seconds = {} if report is None else {"prune": report.get("seconds", {}).get("total", 0.0)}
        for file in sorted(folder.glob(f"*/{METRICS}")):
            seconds[file.parent.name] = read_metrics(file.parent).get("seconds", 0.0)
        for stage, took in seconds.items():
            stages[stage] = round(stages.get(stage, 0.0) + took, 3)
    return stages
