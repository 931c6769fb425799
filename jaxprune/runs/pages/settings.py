"""The section on settings: config, report.json without sparsity, method of each evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.base.text import NONE, Cell, Table, count, number
from jaxprune.report.document import Folded, Part, Section, Texts
from jaxprune.runs.facts import last_parts
from jaxprune.runs.pages.files import RunFiles

# Parts of a report and of an evaluation with sections of their own, and digests of thousands of lines.
_NOT_SHOWN = ("sparsity", "shrunk", "calibration_lines", "continuations")


def settings_section(
    runs: Mapping[str, RunFiles], defaults: Mapping[str, object]
) -> Section | None:
    """A column for each run; fields with their default in all runs are folded, and all that is no config.

    Args:
      runs: by name.
      defaults: of the fields of a config, by path.
    """
    configs = {name: flatten(run.config) for name, run in runs.items() if run.config}
    usual = [
        path
        for path, default in defaults.items()
        if configs and all(values.get(path) == default for values in configs.values())
    ]
    parts: list[Part | None] = [
        _table(
            "Config", {n: _only(v, [p for p in v if p not in usual]) for n, v in configs.items()}
        )
    ]
    folded = {
        f"fields with their defaults: {len(usual)}": {
            name: _only(values, usual) for name, values in configs.items()
        },
        "Run": {name: flatten(run.report) for name, run in runs.items()},
    }
    for task in dict.fromkeys(task for run in runs.values() for task in run.evaluation.parts):
        evaluated = {n: run.evaluation.parts.get(task) for n, run in runs.items()}
        folded[f"Evaluation: {task}"] = {
            name: flatten(part.facts) for name, part in evaluated.items() if part
        }
    parts += [
        Folded(title, [table]) for title, sides in folded.items() if (table := _table(title, sides))
    ]
    shown = [part for part in parts if part]
    return Section("settings", "Settings", shown) if shown else None


def _only(values: Mapping[str, object], paths: Sequence[str]) -> dict[str, object]:
    return {path: values[path] for path in paths if path in values}


def _table(title: str, sides: Mapping[str, Mapping[str, object]]) -> Texts | None:
    """A row for each key, a column for each run with any; values that differ are bold."""
    known = {name: values for name, values in sides.items() if values}
    rows = []
    for key in dict.fromkeys(key for values in known.values() for key in values):
        cells = [_shown(values.get(key)) for values in known.values()]
        differ = len(set(cells)) > 1
        rows.append([key, *(Cell(cell, "differs") if differ else cell for cell in cells)])
    return Texts(Table(title, ["field", *known], rows)) if rows else None


def _shown(value: object) -> str:
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return count(value)
    return number(value) if isinstance(value, float) else str(value)


def flatten(values: Mapping[str, Any]) -> dict[str, object]:
    """Nested JSON → dotted key → number or text, as in `shown_value`."""
    shown = {key: value for key, value in values.items() if key not in _NOT_SHOWN}
    return {key: shown_value(value) for key, value in flatten_dict(shown, sep=".").items()}


def shown_value(value: object) -> object:
    """A value of a JSON file, for a cell; of paths that leave the folder only the last part."""
    if isinstance(value, list):
        parts = (number(v) if isinstance(v, float) else str(shown_value(v)) for v in value)
        return f"[{', '.join(parts)}]"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {part}" for key, part in flatten(value).items())
    if isinstance(value, str) and value.startswith(("/", "~", "..")):
        return last_parts(value)
    return value
