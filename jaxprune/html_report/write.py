"""Reads a run, and another to compare it with, and writes report.html."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import (
    Comparison,
    LeftOut,
    Sides,
    compare_perplexity,
    compare_runs,
    compare_translations,
    comparison_method,
    differing_dtypes,
    dtype_notes,
    open_run,
)
from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import short_names
from jaxprune.html_report import accuracy, plain, pruning, settings
from jaxprune.html_report.card import refresh_card
from jaxprune.html_report.files import RunFiles, read_files
from jaxprune.html_report.markup import Markup, join, tag
from jaxprune.html_report.page import Section, fact_list, page, write_page
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.ledger import CalibrationSettings, PruningSettings, Report
from jaxprune.tables import count, percent

FILE = "report.html"


def write_report(
    run: Path,
    against: Path | None = None,
    out: Path | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
) -> str | None:
    """Writes a page about a run, or about what changed between two, and anew the model card in the run's hf/.

    Args:
      run: a workdir that was pruned, evaluated or analysed.
      against: that of the run before, such as the dense model's; both must be evaluated.
      out: the file; `<run>/report.html` by default.
      defaults: of the fields of a config, by path; those that have them are folded away.

    Returns:
      What became of the card, see `refresh_card`.

    Raises:
      InputError: there is nothing to report or compare, files are broken, or `out` is a folder.
    """
    files = read_files(run)
    before = read_files(against) if against else None
    usual = defaults or {}
    comparison = _compare(files, before) if before else None
    document = (
        comparison_page(files, before, comparison, usual)
        if before and comparison
        else run_page(files, usual)
    )
    write_page(document, run / FILE if out is None else out)
    return refresh_card(files, before, comparison)


def run_page(run: RunFiles, defaults: Mapping[str, object]) -> Markup:
    """The page of one run."""
    sections: list[Section | None] = [
        accuracy.task_section(task, run.scored[task], run.options.get(task))
        if task in run.scored
        else plain.plain_section(task, {"value": metrics})
        for task, metrics in run.metrics.items()
    ]
    if run.scored:
        sections.insert(0, Section("accuracy", "Accuracy", accuracy.task_lines(run.scored)))
    sections += [*_model_sections(run), settings.settings_section({"value": run}, defaults)]
    [name] = short_names([run.folder])
    return page(name, join(_facts(run), *_overlaps(run)), sections)


def comparison_page(
    run: RunFiles, before: RunFiles, comparison: Comparison, defaults: Mapping[str, object]
) -> Markup:
    """The page of a run compared with the run before."""
    tasks, options = comparison.tasks, before.options | run.options
    sections: list[Section | None] = []
    if tasks or comparison.perplexity:
        changes = accuracy.verdicts(comparison, options)
        sections.append(Section("changes", "What changed", changes))
    sections += [
        accuracy.comparison_section(task, compared, options.get(task))
        for task, compared in tasks.items()
    ]
    texts = plain.text_sections(comparison)
    sections += texts
    told = {*tasks, *(section.name for section in texts)}
    for task in dict.fromkeys([*run.metrics, *before.metrics]):
        if task not in told:
            sides = {BEFORE: before.metrics.get(task, {}), AFTER: run.metrics.get(task, {})}
            sections.append(plain.plain_section(task, sides))
    sections += _model_sections(run)
    if comparison.masks:
        sections.append(pruning.mask_section(comparison.masks))
    sections.append(settings.settings_section({BEFORE: before, AFTER: run}, defaults))
    names = short_names([before.folder, run.folder])
    lead = join(
        *(tag("p", note, class_="note") for note in dtype_notes(comparison, BEFORE, AFTER)),
        tag("p", f"{BEFORE}: ", tag("code", before.folder), tag("br"),
            f"{AFTER}: ", tag("code", run.folder)),
        _facts(run),
        *(tag("p", note, class_="note") for note in _left_out(comparison)),
        *_overlaps(before, run),
    )  # fmt: skip
    return page(f"{names[1]} against {names[0]}", lead, sections)


def _compare(run: RunFiles, before: RunFiles) -> Comparison:
    """Compares two runs; where not both have scores of options, other metrics are set side by side."""
    for files in (run, before):
        if not files.metrics:
            raise InputError(
                f"{files.folder}: not evaluated; expected <task>/metrics.json, which "
                "jaxprune evaluate writes"
            )
    scored = run.scored and before.scored
    if not scored and run.metrics.keys() & before.metrics.keys():
        folders = before.folder, run.folder
        return Comparison(
            a=str(before.folder),
            b=str(run.folder),
            tasks={},
            perplexity=compare_perplexity(*folders),
            translation=compare_translations(*folders),
            left_out=LeftOut(),
            masks=None,
            masks_note=None,
            method=comparison_method(),
            dtypes=differing_dtypes(Sides(*map(open_run, folders))),
        )
    return compare_runs(before.folder, run.folder)


def _left_out(comparison: Comparison) -> list[str]:
    sides = {BEFORE: comparison.left_out.only_a, AFTER: comparison.left_out.only_b}
    return [
        f"Only {side}, and therefore not compared: {', '.join(missing)}."
        for side, missing in sides.items()
        if missing
    ]


def _overlaps(*runs: RunFiles) -> list[Markup]:
    notes = (overlap_note(run.metrics.get(PERPLEXITY, {})) for run in runs)
    return [tag("p", note, class_="note") for note in notes if note]


def _model_sections(run: RunFiles) -> list[Section | None]:
    return [
        pruning.sparsity_section(run.report["sparsity"]) if "sparsity" in run.report else None,
        pruning.magnitude_section(run.stats, run.analysis),
        pruning.overlap_section(run.analysis),
    ]


def _facts(run: RunFiles) -> Markup | None:
    """The model, and how it was pruned."""
    config, report = run.config, run.report
    models = [config.get("model"), *(metrics.get("model") for metrics in run.metrics.values())]
    facts: dict[str, object] = {"model": next(filter(None, models), None)}
    if report:
        how, text = config.get("pruning", {}), config.get("calibration", {})
        facts["pruned by"] = ", ".join(filter(None, (how.get("criterion"), how.get("pattern"))))
        facts["weights dropped"] = _dropped(report, how)
        facts["calibrated on"] = _calibration(report, text)
    known = {name: value for name, value in facts.items() if value}
    return fact_list(known) if known else None


def _dropped(report: Report, settings: PruningSettings) -> str | None:
    if "sparsity" not in report:
        return None
    sparsity = settings.get("sparsity")
    note = "" if sparsity is None else f" (asked: {100 * sparsity:g}%)"
    return f"{percent(report['sparsity']['overall'])}%{note}"


def _calibration(report: Report, settings: CalibrationSettings) -> str | None:
    counts = report.get("tokens")
    if not counts:
        return None
    tokens = ", ".join(f"{role}: {count(total)} tokens" for role, total in counts.items())
    known = {"source", "target"} <= settings.keys()
    return f"{settings['source']} → {settings['target']}; {tokens}" if known else tokens
