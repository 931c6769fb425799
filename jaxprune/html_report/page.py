"""Sections and charts → one self-contained document."""

from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from jaxprune.charts import CSS, Chart, page_svg
from jaxprune.errors import InputError
from jaxprune.files import write_text
from jaxprune.html_report.markup import Markup, tag

# Browsers then neither fetch nor run anything, whatever the strings of a file contain.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


class Section(NamedTuple):
    """A part of the page; `name` is its anchor, unique on the page."""

    name: str
    title: str
    body: Markup


def page(title: str, lead: Markup | None, sections: Iterable[Section | None]) -> Markup:
    """The document.

    Args:
      title: of the document and its first heading.
      lead: the content below it, if any.
      sections: each gets a heading and a link at the top; None is left out.
    """
    style = resources.files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),  # else browsers request one
        tag("title", title),
        tag("style", Markup(CSS + style)),
    )
    shown = [section for section in sections if section is not None]
    links = [tag("a", title, href=f"#{name}") for name, title, _ in shown]
    parts = [tag("section", tag("h2", title), body, id=name) for name, title, body in shown]
    body = tag(
        "body",
        tag("header", tag("h1", title), lead, tag("nav", *links, aria_label="sections")),
        tag("main", *parts),
    )
    return Markup(f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n")


def fact_list(facts: Mapping[str, object]) -> Markup:
    """Names and values at the top of a page."""
    items = [tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items()]
    return tag("dl", *items, class_="facts")


def charts_row(*charts: Chart) -> Markup:
    """Charts under their titles, side by side if the window is wide enough; empty without charts."""
    return tag("div", *map(_figure, charts), class_="charts") if charts else Markup()


def _figure(chart: Chart) -> Markup:
    """A chart under its title; a drawing that is too wide scrolls in its own box."""
    drawing = Markup(page_svg(chart))
    box = tag("div", drawing, class_="scroll", tabindex=0, role="group", aria_label=chart.title)
    return tag("figure", tag("figcaption", tag("b", chart.title)), box, class_="chart")


def write_page(document: Markup, out: Path) -> None:
    """Writes the file atomically, and makes its folder.

    Raises:
      InputError: out is a folder or a device.
    """
    if out.exists() and not out.is_file():
        raise InputError(f"{out}: a folder or device; allowed: a file such as report.html")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, document)
