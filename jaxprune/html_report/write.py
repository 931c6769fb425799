"""A run, and another to compare it with → report.html."""

from collections.abc import Mapping
from pathlib import Path

from jaxprune.evaluation.comparison import (
    Comparison,
    compare_runs,
    evaluation_notes,
    left_out_notes,
)
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import short_names
from jaxprune.html_report import accuracy, plain, pruning, settings
from jaxprune.html_report.card import refresh_card
from jaxprune.html_report.facts import lead
from jaxprune.html_report.files import RunFiles, read_files
from jaxprune.html_report.markup import Markup, join, note, tag
from jaxprune.html_report.page import Section, page, write_page
from jaxprune.html_report.plain import AFTER, BEFORE
from jaxprune.html_report.smaller import smaller_section

FILE = "report.html"


def write_report(
    run: Path,
    against: Path | None = None,
    out: Path | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
) -> str | None:
    """Writes a page on a run, or on the changes between two runs, and updates the model card in the run's hf/.

    Args:
      run: the workdir of a pruned, evaluated or analysed run.
      against: the workdir of the run before, such as the dense model's; both must be evaluated.
      out: the file; `<run>/report.html` by default.
      defaults: values of the fields of a config by path; fields with their default are folded.

    Returns:
      The line on the card, see `refresh_card`.

    Raises:
      InputError: nothing to report or compare, broken files, or `out` is a folder.
    """
    files = read_files(run)
    before = read_files(against) if against else None
    comparison = compare_runs(before.folder, run) if before else None
    if before and comparison:
        document = comparison_page(files, before, comparison, defaults or {})
    else:
        document = run_page(files, defaults or {})
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
    continued = {"continuation": run.metrics.get(PERPLEXITY, {})}
    sections += [plain.continuation_section(continued), *_model_sections(run)]
    sections.append(settings.settings_section({"value": run}, defaults))
    [name] = short_names([run.folder])
    return page(name, lead(run), sections)


def comparison_page(
    run: RunFiles, before: RunFiles, comparison: Comparison, defaults: Mapping[str, object]
) -> Markup:
    """The page of a run compared with the run before."""
    tasks, options = comparison.tasks, before.options | run.options
    sections: list[Section | None] = []
    if tasks or comparison.perplexity:
        changes = accuracy.changes(comparison, options)
        sections.append(Section("changes", "Changes", changes))
    sections += [
        accuracy.comparison_section(task, compared, options.get(task))
        for task, compared in tasks.items()
    ]
    texts = plain.text_sections(comparison)
    sections += texts
    shown = {*tasks, *(section.name for section in texts)}
    sides = {
        task: {BEFORE: before.metrics.get(task, {}), AFTER: run.metrics.get(task, {})}
        for task in dict.fromkeys([*run.metrics, *before.metrics])
    }
    sections += [plain.plain_section(*one) for one in sides.items() if one[0] not in shown]
    if PERPLEXITY in sides:
        sections.append(plain.continuation_section(sides[PERPLEXITY]))
    sections += _model_sections(run)
    if comparison.masks:
        sections.append(pruning.mask_section(comparison.masks))
    sections.append(settings.settings_section({BEFORE: before, AFTER: run}, defaults))
    names = short_names([before.folder, run.folder])
    top = join(
        *map(note, evaluation_notes(comparison, BEFORE, AFTER)),
        tag("p", f"{BEFORE}: ", tag("code", names[0]), f", {AFTER}: ", tag("code", names[1])),
        lead(run, before),
        *map(note, left_out_notes(comparison, BEFORE, AFTER)),
    )
    return page(f"{names[1]} against {names[0]}", top, sections)


def _model_sections(run: RunFiles) -> list[Section | None]:
    return [
        pruning.sparsity_section(run.report) if "sparsity" in run.report else None,
        smaller_section(run.report["shrunk"]) if "shrunk" in run.report else None,
        pruning.magnitude_section(run.stats, run.analysis),
        pruning.overlap_section(run.analysis),
    ]
