"""Sections of text, tables and charts → one self-contained document."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from markupsafe import Markup

from jaxprune.base.errors import InputError
from jaxprune.base.files.whole import write_text
from jaxprune.base.templates import render
from jaxprune.base.text import Table
from jaxprune.report.charts.chart import Chart
from jaxprune.report.charts.page_svg import page_svg
from jaxprune.report.charts.theme import CSS


class Note(NamedTuple):
    """A paragraph of small print."""

    text: str


class Command(NamedTuple):
    """A command line, and its effect in a word."""

    title: str
    line: str


class Facts(NamedTuple):
    """Names and values, side by side."""

    facts: Mapping[str, str]


class Texts(NamedTuple):
    """A table of long texts, which break inside their cells and are aligned left."""

    table: Table


class Charts(NamedTuple):
    """Charts under their titles, side by side if the window is wide enough."""

    charts: Sequence[Chart]

    def figures(self) -> list[tuple[str, Markup]]:
        """Title and drawing of each."""
        return [(chart.title, Markup(page_svg(chart))) for chart in self.charts]


class Picture(NamedTuple):
    """A PNG file of twice the pixels of its place on the page."""

    title: str
    data: bytes

    def base64(self) -> str:
        """The file as text."""
        return base64.b64encode(self.data).decode()


class Folded(NamedTuple):
    """Parts that the reader opens by their title."""

    title: str
    parts: Sequence["Part"]


# Text is a paragraph.
Part: TypeAlias = str | Note | Command | Facts | Table | Texts | Charts | Picture | Folded


class Section(NamedTuple):
    """A part of the page with a heading, and a link at the top; `name` is its anchor, unique on the page."""

    name: str
    title: str
    parts: Sequence[Part]


def page(title: str, lead: Sequence[Part], sections: Iterable[Section | None]) -> str:
    """The document.

    Args:
      title: title of the document and its first heading.
      lead: the parts below it.
      sections: sections in the order shown; None is omitted.
    """
    shown = [section for section in sections if section is not None]
    return render("page.html", title=title, lead=lead, sections=shown, colours=Markup(CSS))


def write_page(document: str, out: Path) -> None:
    """Writes the file atomically, and makes its folder.

    Raises:
      InputError: out is a folder or a device.
    """
    if out.exists() and not out.is_file():
        raise InputError(f"{out}: a folder or device; expected a file such as report.html")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, document)
