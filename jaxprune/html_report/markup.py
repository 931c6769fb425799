"""HTML as text. Children and attributes are escaped unless they are `Markup`.

The output is also well-formed XML, so a test can parse a page.
"""

import html

from jaxprune.templates import legal_text

_EMPTY = frozenset(("br", "link", "meta", "wbr"))  # elements that HTML does not close


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """The escaped text of a value, for content and attributes; `Markup` is returned unchanged."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(legal_text(str(value))))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element: `tag("td", "a < b", class_="n")` is `<td class="n">a &lt; b</td>`.

    Args:
      name: of the element.
      children: text or `Markup`; None is left out.
      attributes: None is left out, `_` in a name becomes `-`.
    """
    opening = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY and not children:
        return Markup(f"<{opening} />")
    return Markup(f"<{opening}>{join(*children)}</{name}>")


def note(*children: object) -> Markup:
    """A paragraph of small print."""
    return tag("p", *children, class_="note")


def folded(title: str, *children: object) -> Markup:
    """Content that the reader opens by its title."""
    return tag("details", tag("summary", title), *children)


def join(*parts: object) -> Markup:
    """The escaped parts, concatenated; None is left out."""
    return Markup("".join(escape(part) for part in parts if part is not None))
