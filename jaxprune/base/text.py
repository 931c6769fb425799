"""Numbers as text, and tables of text for terminals, Markdown, CSV and notebooks.

The first column of a table contains the names of its rows, aligned left; the others contain numbers, aligned right.
"""

import csv
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from jaxprune.base.errors import one_line
from jaxprune.base.templates import render

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
WIDTH = 100  # columns of a terminal
_GAP = "  "  # between columns
# Class in style.css → verdict on a change.
VERDICTS = {
    "better": "better",
    "worse": "worse",
    "unclear": "no significant change",
    "chance": "at chance: cannot tell",
    "few": "too little text: cannot tell",
    "untested": "not tested",
}


# Numbers in a uniform format: a true minus, an en dash for None. Shares are in [0, 1]; percent and points are shares
# times 100.


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent, without the sign %: 71.4."""
    return NONE if share is None else _with_minus(f"{100 * share:z.{digits}f}")


def points(share: float | None, digits: int = 1) -> str:
    """A difference of shares in percentage points: +1.2, −0.4, 0.0."""
    return NONE if share is None else signed(100 * share, digits)


def signed(value: float, digits: int = 1) -> str:
    """A difference with its sign, one decimal by default: +1.2, −0.4, 0.0."""
    text = _with_minus(f"{value:+.{digits}f}")
    return text[1:] if not text[1:].strip("0.") else text


def interval(bounds: Sequence[float] | None, show: Callable[[float], str] = percent) -> str:
    """Bounds, each formatted by `show`; by default bounds of a share, as percent: [69.1, 73.5]."""
    return NONE if bounds is None else f"[{', '.join(map(show, bounds))}]"


def p_value(p: float | None) -> str:
    """Three decimals, or <0.001."""
    if p is None:
        return NONE
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def fraction(value: float | None) -> str:
    """Three decimals: RankC, intersection over union, the ratio of two perplexities."""
    return NONE if value is None else _with_minus(f"{value:z.3f}")


def tenths(value: float | None) -> str:
    """One decimal and no sign: BLEU, chrF."""
    return NONE if value is None else _with_minus(f"{value:z.1f}")


def times(value: float) -> str:
    """A ratio in few characters: 3.2, 1,250, 2e+05."""
    if value < 100:
        return tenths(value)
    return count(value) if value < 1e5 else f"{value:.0e}"


def seconds(value: float) -> str:
    """One decimal, with thousands separators: 1,234.5."""
    return f"{value:,.1f}"


def count(value: float) -> str:
    """No decimals, with thousands separators: 62, 1,250."""
    return _with_minus(f"{value:z,.0f}")


def share_range(shares: Sequence[float]) -> str:
    """The least and the largest share in percent, 40.1% to 60.0%; empty if both have the same text."""
    least, most = percent(min(shares)), percent(max(shares))
    return "" if least == most else f"{least}% to {most}%"


def byte_size(size: float) -> str:
    """MB of 10^6 bytes below 0.1 GB, otherwise GB of 10^9 bytes: 12.5 MB, 0.81 GB."""
    return f"{size / 1e9:.2f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def number(value: float) -> str:
    """Short, for a value of any kind: 1,250, 0.31, −2.5, 1e-05."""
    return _with_minus(f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}")


def _with_minus(digits: str) -> str:
    return MINUS + digits[1:] if digits.startswith("-") else digits


# Tables on a terminal, in Markdown and as CSV.


class Cell(str):
    """Text with a verdict on a change.

    Attributes:
      kind: a key of VERDICTS, or another class of the pages' style.
    """

    kind: str

    def __new__(cls, text: str, kind: str) -> "Cell":
        """A cell of this text."""
        cell = super().__new__(cls, text)
        cell.kind = kind
        return cell


class Table(NamedTuple):
    """A table of text, which terminals, Markdown, pages and notebooks show.

    Attributes:
      title: above the table.
      header: titles of the columns; the first names the rows.
      rows: text, or `Cell` with a verdict.
      note: a sentence below the table.
      labels: number of the first columns that name the rows; a terminal repeats them where a table is too wide.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    labels: int = 1

    def to_latex(self, caption: str = "") -> str:
        """The table for a paper, as LaTeX with the rules of booktabs.

        Args:
          caption: plain text that follows the title and the note in the caption.
        """
        import pandas

        rows = [[str(cell) for cell in row] for row in self.rows]
        table = pandas.DataFrame(rows, columns=pandas.Index(self.header))
        text = table.to_latex(
            index=False,
            escape=True,
            column_format="l" * self.labels + "r" * (len(self.header) - self.labels),
            caption=re.sub(
                r"([&%$#_{}])",
                r"\\\1",
                " ".join(filter(None, [f"{self.title}.", self.note, caption])),
            ),
        )
        return text.replace(MINUS, "$-$").replace("×", r"$\times$")


def columns(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table on a terminal, each column as wide as its widest cell."""
    cells = [header, *rows]
    first, *other_widths = _widths(cells)
    line = _GAP.join([f"{{:<{first}}}", *(f"{{:>{width}}}" for width in other_widths)])
    return [line.format(*row).rstrip() for row in cells]


def table_lines(table: Table) -> list[str]:
    """A table on a terminal; if it is wider than WIDTH it continues below, with its labels again."""
    widths = _widths([table.header, *table.rows])
    labels = [*range(table.labels)]
    label_width = sum(widths[: table.labels]) + len(_GAP) * (table.labels - 1)
    parts, width = [[*labels]], label_width
    for place, column in enumerate(widths[table.labels :], start=table.labels):
        if width + len(_GAP) + column > WIDTH and len(parts[-1]) > table.labels:
            parts.append([*labels])
            width = label_width
        parts[-1].append(place)
        width += len(_GAP) + column
    lines = list[str]()
    for part in parts:
        header, *rows = ([row[i] for i in part] for row in (table.header, *table.rows))
        lines += [*[""] * bool(lines), *columns(header, rows)]
    return lines


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


def wrapped(text: str, indent: str = "") -> list[str]:
    """A paragraph in lines of at most WIDTH; all but the first are indented by two more spaces."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False
    )


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


# Tables in notebooks.


class NotebookTable:
    """A record that notebooks show as tables under a caption, and `repr` as the caption."""

    def _shown(self) -> tuple[str, Iterable[Table]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._shown()[0]}>"

    def _repr_html_(self) -> str:
        caption, tables = self._shown()
        return render("notebook.html", caption=caption, tables=list(tables))
