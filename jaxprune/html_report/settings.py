"""The section on settings, folded: config, report.json without sparsity, method of each evaluation."""

from collections.abc import Mapping
from typing import Any

from jaxprune.html_report.files import RunFiles
from jaxprune.html_report.markup import Markup, folded, join, tag
from jaxprune.html_report.page import Section
from jaxprune.html_report.plain import ABOUT, flatten, settings_table

Sides = Mapping[str, Mapping[str, Any]]

# Parts of a report with sections of their own, and digests of thousands of lines.
_NOT_SHOWN = ("sparsity", "shrunk", "calibration_lines")


def settings_section(
    runs: Mapping[str, RunFiles], defaults: Mapping[str, object]
) -> Section | None:
    """A column for each run; fields with their default in all runs have a table of their own.

    Args:
      runs: by name.
      defaults: of the fields of a config, by path.
    """
    parts: list[Markup | None] = []
    if any(run.config for run in runs.values()):
        parts += [tag("h3", "Config"), *_config({n: r.config for n, r in runs.items()}, defaults)]
    reports = {
        name: {key: value for key, value in run.report.items() if key not in _NOT_SHOWN}
        for name, run in runs.items()
    }
    tasks = dict.fromkeys(task for run in runs.values() for task in run.metrics)
    tables = {"Run": settings_table(reports, "Run")}
    tables |= {f"Evaluation: {task}": settings_table(_measured(runs, task), task) for task in tasks}
    parts += [folded(name, one) for name, one in tables.items() if one]
    return Section("settings", "Settings", join(*parts)) if parts else None


def _config(sides: Sides, defaults: Mapping[str, object]) -> list[Markup | None]:
    """Fields that differ from their defaults or between the runs, and a table of the others."""
    flat = {name: flatten(config) for name, config in sides.items()}
    configs = [values for values in flat.values() if values]
    usual = {
        path
        for path in configs[0]
        if path in defaults and all(values.get(path) == defaults[path] for values in configs)
    }
    shown, hidden = (
        {
            name: {path: value for path, value in values.items() if (path in usual) is is_usual}
            for name, values in flat.items()
        }
        for is_usual in (False, True)
    )
    rest = settings_table(hidden, "Pruning, defaults")
    title = f"fields with their defaults: {len(usual)}"
    return [settings_table(shown, "Pruning"), rest and folded(title, rest)]


def _measured(runs: Mapping[str, RunFiles], task: str) -> Sides:
    sides = {}
    for name, run in runs.items():
        metrics: Mapping[str, Any] = run.metrics.get(task, {})
        sides[name] = {key: metrics[key] for key in ABOUT if key in metrics}
    return sides
