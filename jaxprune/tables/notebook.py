"""Records → tables in a notebook, and pandas DataFrames."""

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from jaxprune.errors import InputError
from jaxprune.files import to_json
from jaxprune.tables.lines import TextTable


class Shown:
    """A record that notebooks show as tables under a caption, and `repr` as the caption."""

    def _shown(self) -> tuple[str, Iterable[TextTable]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._shown()[0]}>"

    def _repr_html_(self) -> str:
        caption, tables = self._shown()
        return f"<p>{escape(caption)}</p>{''.join(map(_html, tables))}"


def _html(table: TextTable) -> str:
    def row(tag: str, cells: Iterable[str]) -> str:
        return f"<tr>{''.join(f'<{tag}>{escape(cell.strip())}</{tag}>' for cell in cells)}</tr>"

    body = "".join(row("td", cells) for cells in table.rows)
    head = f"<caption>{escape(table.title)}</caption><thead>{row('th', table.header)}</thead>"
    return f"<table>{head}<tbody>{body}</tbody></table>"


def import_pandas() -> Any:
    """The module; InputError if it is not installed."""
    try:
        import pandas  # no dependency
    except ImportError:
        raise InputError("to_pandas: pandas is not installed; pip install pandas") from None
    return pandas


def data_frame(figures: Mapping[str, Mapping[str, object]]) -> Any:
    """Records by task and language as rows of a DataFrame. Columns are their JSON keys, nested ones joined by `_`."""
    rows = [
        {"task": task, "language": code, **to_json(figure)}
        for task, by_language in figures.items()
        for code, figure in by_language.items()
    ]
    frame = import_pandas().json_normalize(rows, sep="_")
    if "interval" in frame:
        interval = frame.pop("interval")
        frame["low"], frame["high"] = interval.str[0], interval.str[1]
    return frame
