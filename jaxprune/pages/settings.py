"""The sections on the fields of the configs, and on text that the model wrote."""

from collections.abc import Mapping
from typing import Any

from flax.traverse_util import flatten_dict

from jaxprune.base.text import NONE, Cell, Table
from jaxprune.data.languages import LANGUAGES
from jaxprune.pages.facts import last_parts
from jaxprune.pages.files import RunFiles
from jaxprune.report.document import Folded, Part, Section, Texts


def settings_section(runs: Mapping[str, RunFiles]) -> Section | None:
    """The fields that differ between the configs of the runs, by name, then all fields, folded."""
    by_run = {name: _fields(run.config) for name, run in runs.items() if run.config}
    rows = []
    for path in dict.fromkeys(path for fields in by_run.values() for path in fields):
        cells = [fields.get(path, NONE) for fields in by_run.values()]
        differ = len(set(cells)) > 1
        rows.append([path, *(Cell(cell, "differs") if differ else cell for cell in cells)])
    if not rows:
        return None
    table = Table("Config", ["field", *by_run], rows)
    parts: list[Part] = [Folded(table.title, [Texts(table)])]
    if unequal := [row for row in rows if isinstance(row[1], Cell)]:
        parts.insert(0, Texts(table._replace(title="Config fields that differ", rows=unequal)))
    return Section("settings", "Settings", parts)


def generated_section(texts: Mapping[str, str]) -> Section:
    """A text of each language that the model wrote and on which it was calibrated."""
    rows = [[LANGUAGES[code].name, text] for code, text in texts.items()]
    table = Table("First text of each language", ["language", "text"], rows)
    return Section("generated", "Calibration text that the model wrote", [Texts(table)])


def _fields(config: Mapping[str, Any]) -> dict[str, str]:
    return {path: shown_value(value) for path, value in flatten_dict(config, sep=".").items()}


def shown_value(value: object) -> str:
    """A value of a config, for a cell; for paths outside the folder only the last part."""
    if value is None:
        return NONE
    text = str(value)
    return last_parts(text) if text.startswith(("/", "~", "..")) else text
