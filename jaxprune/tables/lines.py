"""A header and rows of text → lines of a table: columns on a terminal, Markdown pipes, CSV.

The first column contains the names of the rows, aligned left; the others contain numbers, aligned right.
"""

import csv
import io
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from jaxprune.errors import one_line

WIDTH = 100  # columns of a terminal
JOINED = "\N{NO-BREAK SPACE}"  # between words that `wrapped` keeps on one line
_GAP = "  "  # between columns


class Group(NamedTuple):
    """Neighbouring columns: a common title, which may be empty, and their own titles."""

    title: str
    columns: tuple[str, ...]


class TextTable(NamedTuple):
    """A title, a header and rows of text."""

    title: str
    header: list[str]
    rows: list[list[str]]


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table on a terminal, each column as wide as its widest cell."""
    cells = [header, *rows]
    first, *others = _widths(cells)
    line = _GAP.join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in others)])
    return [line.format(*row).rstrip() for row in cells]


def grouped_columns(groups: Sequence[Group], *bodies: Sequence[Sequence[str]]) -> list[str]:
    """A table on a terminal with a line of group titles and a rule above each body.

    Args:
      groups: of all columns, including the first.
      bodies: rows of each body.
    """
    header = [name for group in groups for name in group.columns]
    widths = _widths([header, *(row for rows in bodies for row in rows)])
    titles, left = [], iter(widths)
    for group in groups:
        inside = [*islice(left, len(group.columns))]
        titles.append(f"{group.title:^{sum(inside) + len(_GAP) * (len(inside) - 1)}}")
    lines = iter(columns(header, [row for rows in bodies for row in rows]))
    table = [_GAP.join(titles).rstrip(), next(lines)]
    for rows in bodies:
        table += ["-" * (sum(widths) + len(_GAP) * (len(widths) - 1)), *islice(lines, len(rows))]
    return table


def pipes(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in Markdown; cells are stripped, and their stars and bars are escaped."""
    aligned = ["---", *["---:"] * (len(header) - 1)]
    lines = [[_escaped(cell) for cell in row] for row in (header, *rows)]
    return [f"| {' | '.join(row)} |" for row in (lines[0], aligned, *lines[1:])]


def _escaped(cell: str) -> str:
    return cell.strip().replace("|", r"\|").replace("*", r"\*")


def as_code(name: str) -> str:
    """Any name as code in Markdown, on one line."""
    return f"`{one_line(name).replace('`', chr(39))}`"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table as CSV: numbers with all digits, None as an empty cell."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return file.getvalue()


def named_values(values: Mapping[str, str]) -> list[str]:
    """Lines of names and values in two columns, aligned left and indented by two spaces."""
    width = max(map(len, values))
    return [f"  {name:<{width}}  {value}" for name, value in values.items()]


def capitalized(text: str) -> str:
    """The text with a capital first letter."""
    return f"{text[:1].upper()}{text[1:]}"


def wrapped(text: str, indent: str = "") -> list[str]:
    """A paragraph in lines of at most WIDTH; all but the first are indented by two more spaces."""
    lines = textwrap.wrap(
        text,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
    )
    return [line.replace(JOINED, " ") for line in lines]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]
