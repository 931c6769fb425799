"""The fields as text: for a terminal, and as a table of the site."""

import textwrap
from collections.abc import Iterable, Mapping

from jaxprune.base.schema import Field
from jaxprune.cli.config.record import FIELDS, GROUPS

_MOST_CHOICES = 10  # the languages are too many to list
_WIDTH, _IN = 100, " " * 6  # line length of --help, and indent of the text below a field


def as_markdown() -> str:
    """The fields as a Markdown table."""
    lines = ["| field | default | meaning |", "| --- | --- | --- |"]
    for path, field in FIELDS.items():
        default = "" if field.default is None else f"`{field.default}`".lower()
        lines.append(f"| `{path}` | {default} | {_meaning(field)} |")
    return "\n".join(lines) + "\n"


def _meaning(field: Field) -> str:
    """The meaning, preceded by the choices if it does not name them itself."""
    names = [f"`{name}`" for name in field.choices]
    if len(names) > _MOST_CHOICES or all(name in field.meaning for name in names):
        return field.meaning
    return f"{', '.join(names)}: {field.meaning}"


def as_text(paths: Iterable[str], values: Mapping[str, object]) -> str:
    """The fields for a terminal, in groups: the part of `--help` about `--config.FIELD=VALUE`.

    Args:
      paths: the fields to list.
      values: values of a config by path; values other than the default are listed.
    """
    lines = []
    for group, about in GROUPS.items():
        fields = [path for path in paths if path.rpartition(".")[0] == group]
        lines += ["", f"{group or 'model'}: {about}"] if fields else []
        for path in fields:
            field = FIELDS[path]
            default = "" if field.default is None else f" (default: {field.default})".lower()
            value = values.get(path, field.default)
            shown = str(value).lower() if isinstance(value, bool) else value
            setting = "" if value == field.default else f" (set to {shown})"
            lines.append(f"  --config.{path}: {field.allowed}{default}{setting}")
            lines += textwrap.wrap(field.meaning, _WIDTH, initial_indent=_IN, subsequent_indent=_IN)
    return "\n".join(lines[1:]).replace("`", "") + "\n"
