"""HTML and SVG as text. Whatever is not `Markup` is escaped when it becomes a child or an attribute.

The output is well-formed XML too, so a test can parse the whole page.
"""

from __future__ import annotations

import html
import re

# Elements that HTML does not close, and those of SVG that are drawn without children.
_EMPTY = frozenset(("br", "circle", "link", "line", "meta", "path", "rect", "wbr"))
# Neither XML nor HTML has these, and lone surrogates cannot be encoded.
_IMPOSSIBLE = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Markup(str):
    """Text that may stand in a page as it is."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """The text of a value, for content and for attributes; `Markup` stays as it is."""
    if isinstance(value, Markup):
        return value
    return Markup(html.escape(_IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", str(value))))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element: `tag("td", "a < b", class_="n")` is `<td class="n">a &lt; b</td>`.

    Args:
      name: of the element.
      children: text or `Markup`; None is left out.
      attributes: None is left out, floats get two decimals, `_` in a name becomes `-`.
    """
    opening = name + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY and not children:
        return Markup(f"<{opening} />")
    return Markup(f"<{opening}>{join(*children)}</{name}>")


def join(*parts: object) -> Markup:
    """Parts one after the other, escaped; None is left out."""
    return Markup("".join(escape(part) for part in parts if part is not None))


def _attribute(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
