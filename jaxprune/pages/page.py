"""A run, and others to compare it with → report.html."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.base.files.whole import short_names
from jaxprune.evaluation.comparison import Comparison
from jaxprune.evaluation.in_memory import compare
from jaxprune.pages import results
from jaxprune.pages.card_section import refresh_card
from jaxprune.pages.facts import commands, run_facts
from jaxprune.pages.files import RunFiles, read_files
from jaxprune.pages.packing_sections import packing_lead, packing_section
from jaxprune.pages.pruning import (
    analysis_section,
    magnitude_section,
    rounding_section,
    sparsity_section,
)
from jaxprune.pages.settings import generated_section, settings_section, shown_value
from jaxprune.pages.smaller import smaller_section
from jaxprune.report.document import Command, Facts, Part, Section, page, write_page

FILE = "report.html"
_DID = {
    "prune": "Pruned by",
    "quantize": "Quantized by",
    "shrink": "Made by",
    "recover": "Recovered by",
}


def write_report(run: Path, against: Sequence[Path] = (), out: Path | None = None) -> str | None:
    """Writes a page on a run, or on the changes between several, and updates the model card in the run's hf/.

    Args:
      run: the workdir of a pruned, evaluated or analysed run.
      against: workdirs to compare with, the base first, such as the dense model's; all must be evaluated.
      out: the file; `<run>/report.html` by default.

    Returns:
      The line on the card, see `refresh_card`.

    Raises:
      InputError: nothing to report or compare, broken files, or `out` is a folder.
    """
    files, before = read_files(run), [read_files(folder) for folder in against]
    comparison = compare(*(f.evaluation for f in (*before, files))) if before else None
    if comparison:
        runs = dict(zip(comparison.names, [*before, files], strict=True))
        document = comparison_page(runs, comparison)
    else:
        document = run_page(files)
    write_page(document, run / FILE if out is None else out)
    return refresh_card(files, before[0] if before else None, comparison)


def run_page(run: RunFiles) -> str:
    """The page of one run."""
    [name] = short_names([run.folder])
    return page(
        name,
        _lead(run, results.evaluation_lead(run.evaluation)),
        [
            *_packing_sections(run),
            results.results_section([run.evaluation]),
            *_model_sections(run),
            settings_section({"value": run}),
        ],
    )


def comparison_page(runs: Mapping[str, RunFiles], comparison: Comparison) -> str:
    """The page of runs compared with the first; sections on the model describe the last."""
    *_, run = runs.values()
    base, *others = comparison.names
    return page(
        f"{', '.join(others)} against {base}",
        _lead(run, results.comparison_lead(comparison)),
        [
            *_packing_sections(run),
            results.results_section(comparison.evaluations, comparison.changes),
            *_model_sections(run),
            settings_section(runs),
        ],
    )


def model_parts(run: RunFiles) -> list[Part]:
    """Facts on the model, and the commands that made it.

    Raises:
      InputError: a field of config.json is wrong.
    """
    models = [
        run.config.get("model"),
        *(p.facts.get("model") for p in run.evaluation.parts.values()),
    ]
    facts = {"model": shown_value(next(filter(None, models), ""))}
    try:
        facts |= run_facts(run.config, run.report)
    except InputError as error:
        raise InputError(f"{run.folder}/{error}") from None
    parts: list[Part] = [Facts({name: value for name, value in facts.items() if value})]
    if run.report and run.config:
        parts += [
            Command(_DID[name], line)
            for name, line in commands(run.config, run.report, f"runs/{run.folder.resolve().name}")
        ]
    return parts


def _lead(run: RunFiles, evaluated: Sequence[Part]) -> Sequence[Part]:
    return packing_lead(run.packing) if run.packing else [*evaluated, *model_parts(run)]


def _packing_sections(run: RunFiles) -> list[Section]:
    if not run.packing:
        return []
    own = run.packing["result"].get("generated")
    return [packing_section(run.packing), *([generated_section(own["first"])] if own else [])]


def _model_sections(run: RunFiles) -> list[Section | None]:
    return [
        sparsity_section(run.report) if "sparsity" in run.report else None,
        generated_section(run.report["generated"]) if "generated" in run.report else None,
        rounding_section(run.report) if "quantized" in run.report else None,
        smaller_section(run.report["shrunk"]) if "shrunk" in run.report else None,
        magnitude_section(run.stats) if run.stats is not None else None,
        analysis_section(run.figures),
    ]
