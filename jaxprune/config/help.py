"""The fields as people read them: in a terminal, and as a table of the site."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping

from jaxprune.config.record import FIELDS, GROUPS
from jaxprune.schema import Field

_MOST_CHOICES = 10  # languages are too many to list
_WIDTH, _IN = 100, " " * 6  # of --help, and of what stands below a field there


def as_markdown() -> str:
    """The fields as a Markdown table."""
    lines = ["| field | default | meaning |", "| --- | --- | --- |"]
    for path, field in FIELDS.items():
        default = "" if field.default is None else f"`{field.default}`".lower()
        lines.append(f"| `{path}` | {default} | {_told(field)} |")
    return "\n".join(lines) + "\n"


def _told(field: Field) -> str:
    """The meaning, after the values to choose from where it does not name them itself."""
    names = [f"`{name}`" for name in field.choices]
    if len(names) > _MOST_CHOICES or all(name in field.meaning for name in names):
        return field.meaning
    return f"{', '.join(names)}: {field.meaning}"


def as_text(paths: Iterable[str] = FIELDS, given: Mapping[str, object] | None = None) -> str:
    """The same for a terminal, in groups: the part of `--help` about `--config.FIELD=VALUE`.

    Args:
      paths: the fields to list.
      given: values of a config; those that differ from the default are shown as set.
    """
    lines = []
    for group, about in GROUPS.items():
        fields = [path for path in paths if path.rpartition(".")[0] == group]
        lines += ["", f"{group or 'model'}: {about}"] if fields else []
        for path in fields:
            field = FIELDS[path]
            default = "" if field.default is None else f" (default: {field.default})".lower()
            value = (given or {}).get(path, field.default)
            shown = str(value).lower() if isinstance(value, bool) else value
            now = "" if value == field.default else f" (set to {shown})"
            lines.append(f"  --config.{path}: {field.allowed}{default}{now}")
            lines += textwrap.wrap(field.meaning, _WIDTH, initial_indent=_IN, subsequent_indent=_IN)
    return "\n".join(lines[1:]).replace("`", "") + "\n"
