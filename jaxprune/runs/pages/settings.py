"""The section on settings: config, report.json without sparsity, method of each evaluation."""

from collections.abc import Mapping
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.base.text import NONE, Cell, Table, count, number
from jaxprune.report.document import Folded, Part, Section, Texts
from jaxprune.runs.facts import last_parts
from jaxprune.runs.pages.files import RunFiles

# Parts of a report and of an evaluation with sections of their own, and digests of thousands of lines.
_NOT_SHOWN = ("sparsity", "shrunk", "calibration_lines")


def settings_section(runs: Mapping[str, RunFiles]) -> Section | None:
    """A column for each run, by name: the fields of the config that differ, then all settings, folded."""
    sides: dict[str, Mapping[str, Mapping[str, Any]]] = {
        "Config": {name: run.config for name, run in runs.items()},
        "Run": {name: run.report for name, run in runs.items()},
    }
    for task in dict.fromkeys(task for run in runs.values() for task in run.evaluation.parts):
        evaluated = {name: run.evaluation.parts.get(task) for name, run in runs.items()}
        sides[f"Evaluation: {task}"] = {
            n: part.facts if part else {} for n, part in evaluated.items()
        }
    tables = [table for title, by_run in sides.items() if (table := _table(title, by_run))]
    parts: list[Part] = [Folded(table.title, [Texts(table)]) for table in tables]
    if not parts:
        return None
    differ = [row for row in tables[0].rows if isinstance(row[1], Cell)]
    if tables[0].title == "Config" and differ:
        parts.insert(0, Texts(tables[0]._replace(title="Config fields that differ", rows=differ)))
    return Section("settings", "Settings", parts)


def _table(title: str, sides: Mapping[str, Mapping[str, Any]]) -> Table | None:
    """A row for each key, a column for each run with any; values that differ are bold."""
    known = {name: flatten(values) for name, values in sides.items() if values}
    rows = []
    for key in dict.fromkeys(key for values in known.values() for key in values):
        cells = [values.get(key, NONE) for values in known.values()]
        differ = len(set(cells)) > 1
        rows.append([key, *(Cell(cell, "differs") if differ else cell for cell in cells)])
    return Table(title, ["field", *known], rows) if rows else None


def flatten(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested JSON → dotted key → text, as in `shown_value`."""
    shown = {key: value for key, value in values.items() if key not in _NOT_SHOWN}
    return {key: shown_value(value) for key, value in flatten_dict(shown, sep=".").items()}


def shown_value(value: object) -> str:
    """A value of a JSON file, for a cell; of paths that leave the folder only the last part."""
    match value:
        case None:
            return NONE
        case bool():
            return str(value).lower()
        case int():
            return count(value)
        case float():
            return number(value)
        case list():
            items = (str(item) if isinstance(item, int) else shown_value(item) for item in value)
            return f"[{', '.join(items)}]"
        case dict():
            return ", ".join(f"{key}: {part}" for key, part in flatten(value).items())
    text = str(value)
    return last_parts(text) if text.startswith(("/", "~", "..")) else text
