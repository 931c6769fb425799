"""Cells → tables that scroll in their own box."""

import re
from collections.abc import Sequence

from jaxprune.html_report.markup import Markup, tag
from jaxprune.tables import NONE, count, number

_NUMBER = re.compile(r"[\[<+\N{MINUS SIGN}]*\d")
_TAG = re.compile("<[a-z/][^>]*>")


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    caption: str,
    groups: Sequence[tuple[str, int]] = (),
    wrap: bool = False,
) -> Markup:
    """A table whose first column names the rows and stays visible; columns without a value are left out.

    Args:
      header: titles of all columns.
      rows: cells: text, `Markup`, numbers, None or `tables.NONE` for none. A column is right-aligned if its first
        value begins like a number.
      caption: for screen readers; not visible.
      groups: (title, number of columns) of a line above the header; the numbers add up to all columns.
      wrap: long text breaks inside its cell, and nothing is aligned as numbers.
    """
    shown = [
        i for i in range(len(header)) if not i or any(row[i] not in (None, NONE) for row in rows)
    ]
    texts = [[cell(row[i]) for i in shown] for row in rows]
    columns = zip(*texts, strict=True) if texts else [()] * len(shown)
    classes = ["number" if not wrap and _is_number(column) else None for column in columns]
    titles = [
        tag("th", header[i], scope="col", class_=class_)
        for i, class_ in zip(shown, classes, strict=True)
    ]
    body = []
    for name, *values in texts:
        cells = [tag("td", text, class_=c) for text, c in zip(values, classes[1:], strict=True)]
        body.append(tag("tr", tag("th", name, scope="row"), *cells))
    head = tag("thead", _group_row(groups, shown), tag("tr", *titles))
    whole = tag(
        "table", tag("caption", caption), head, tag("tbody", *body), class_="wrap" if wrap else None
    )
    return tag("div", whole, class_="scroll", tabindex=0, role="group", aria_label=caption)


def _group_row(groups: Sequence[tuple[str, int]], shown: Sequence[int]) -> Markup | None:
    cells, begin = [], 0
    for title, columns in groups:
        span = sum(begin <= i < begin + columns for i in shown)
        begin += columns
        if span:
            scope = "colgroup" if title else None
            cells.append(tag("th", title, colspan=span, scope=scope, class_="group"))
    return tag("tr", *cells) if cells else None


def _is_number(column: Sequence[str]) -> bool:
    first = next((text for text in column if text != NONE), "")
    return _NUMBER.match(_TAG.sub("", first)) is not None


def cell(value: object) -> str:
    """The text of a cell: numbers with thousands separators and a true minus, an en dash for None."""
    if value is None:
        return NONE
    if isinstance(value, bool | str):
        return value if isinstance(value, str) else str(value).lower()
    if isinstance(value, int):
        return count(value)
    return number(value) if isinstance(value, float) else str(value)
