"""A run → the top of its page: model, share of zeros, size, speed, and the commands before and after."""

import shlex

from jaxprune.calibration import KINDS
from jaxprune.evaluation.overlap import overlap_note
from jaxprune.evaluation.scoring import PERPLEXITY
from jaxprune.files import short_names
from jaxprune.html_report.files import RunFiles
from jaxprune.html_report.markup import Markup, join, note, tag
from jaxprune.html_report.page import fact_list
from jaxprune.html_report.plain import shown_value
from jaxprune.ledger import CalibrationSettings, Report
from jaxprune.pruning import UNIFORM, UNSTRUCTURED, allocation_of
from jaxprune.runs.facts import (
    PRUNE_FIELDS,
    command_line,
    commands,
    file_sizes,
    mean_loss,
    share_of_all,
)
from jaxprune.runs.smaller_card import sizes
from jaxprune.tables import count, percent

_BY = {"prune": "Pruned by", "shrink": "Made by", "recover": "Recovered by"}
# Of a run, an evaluation takes its dtype alone.
_EVALUATE = {"dtype": PRUNE_FIELDS["dtype"]}


def lead(run: RunFiles, before: RunFiles | None = None) -> Markup:
    """Facts, commands and notes on a run, and on the run before where the page compares them."""
    facts = {name: value for name, value in _facts(run).items() if value}
    metrics = [one.metrics.get(PERPLEXITY, {}) for one in (before, run) if one]
    notes = map(note, filter(None, map(overlap_note, metrics)))
    return join(fact_list(facts) if facts else None, _commands(run, before), *notes)


def _facts(run: RunFiles) -> dict[str, object]:
    config, report = run.config, run.report
    models = [config.get("model"), *(metrics.get("model") for metrics in run.metrics.values())]
    facts: dict[str, object] = {"model": shown_value(next(filter(None, models), None))}
    if "shrunk" in report:
        facts |= {name: f"{old} before, {new} after" for name, old, new in sizes(report)}
        facts["recovered on"] = _calibration(report, config.get("calibration", {}))
        facts["recovered"] = mean_loss(report)
    elif report:
        how = config.get("pruning", {})
        spread = how.get("allocation", UNIFORM.name)
        named = None if spread == UNIFORM.name else f"allocation {allocation_of(spread).name}"
        parts = (how.get("criterion"), how.get("pattern"), named)
        facts["pruned by"] = ", ".join(filter(None, parts))
        facts["weights dropped"] = _dropped(run)
        facts["recovered on" if "pruned" in report else "calibrated on"] = _calibration(
            report, config.get("calibration", {})
        )
        facts["recovered"] = mean_loss(report)
        facts["files of the weights"] = file_sizes(report)
        facts["speed"] = _speed(run)
    return facts


def _dropped(run: RunFiles) -> str | None:
    report, requested = run.report, run.config.get("pruning", {}).get("sparsity")
    if "sparsity" not in report:
        return None
    text = f"{percent(report['sparsity']['overall'])}% of the pruned kernels"
    text += "" if requested is None else f" (requested: {100 * requested:g}%)"
    share = share_of_all(report)
    return text if share is None else f"{text}, {percent(share)}% of all parameters"


def _calibration(report: Report, settings: CalibrationSettings) -> str | None:
    if not (counts := report.get("tokens")):
        return None
    tokens = ", ".join(f"{role}: {count(total)} tokens" for role, total in counts.items())
    if settings.get("stats"):
        codes = {code: None for by_code in report.get("languages", {}).values() for code in by_code}
        return f"saved statistics{''.join(f', {code}' for code in codes)}; {tokens}"
    if not {"kind", "source", "target"} <= settings.keys() or settings["kind"] not in KINDS:
        return tokens
    target = f" → {settings['target']}" if KINDS[settings["kind"]].has_target else ""
    return f"{settings['source']}{target}; {tokens}"


def _speed(run: RunFiles) -> str:
    pattern = run.config.get("pruning", {}).get("pattern", UNSTRUCTURED)
    kernels = "" if pattern == UNSTRUCTURED else f" without kernels for the pattern {pattern}"
    return f"unchanged{kernels}: zeros are stored and multiplied like other numbers"


def _commands(run: RunFiles, before: RunFiles | None) -> Markup:
    """The commands that made the model, and the next one, in the folder above the run."""
    here, *others = short_names([one.folder for one in (run, before) if one])
    lines = []
    if run.report and run.config:
        lines = [(_BY[name], line) for name, line in commands(run.config, run.report, here)]
    if before:
        lines += [("Next", shlex.join(["jaxprune", "compare", *others, here]))]
    elif run.metrics:
        sides = [here, "--against", "DENSE"] if run.report else ["PRUNED", "--against", here]
        lines += [("Next", shlex.join(["jaxprune", "report", *sides]))]
    elif (run.folder / "hf").is_dir():
        line = command_line("evaluate", run.config, _EVALUATE, here)
        lines += [("Next", f"{line} {shlex.join([f'--config.model={here}/hf'])}")]
    return join(*(_command(title, line) for title, line in lines))


def _command(title: str, line: str) -> Markup:
    words = [part for word in line.split(" ") for part in (tag("span", word), " ")]
    return tag("p", f"{title}: ", tag("code", *words), class_="command")
