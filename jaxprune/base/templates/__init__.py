"""Templates of tables, pages and model cards, and their rendering.

The values of an .html file are escaped. Its output is also well-formed XML, so a test can parse a page.
"""

import functools
import re
from typing import TYPE_CHECKING

from jaxprune.base.errors import one_line

if TYPE_CHECKING:
    import jinja2

# Characters that XML and HTML do not allow, and lone surrogates, which cannot be encoded.
_IMPOSSIBLE = re.compile("[^\t\n\r -~\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def legal_text(text: str) -> str:
    """The text, with U+FFFD for each character that XML or HTML does not allow."""
    return _IMPOSSIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def render(name: str, **values: object) -> str:
    """The text of a template of this folder, filled with values."""
    return _environment().get_template(name).render(values)


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2  # imported late: most commands render nothing

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("jaxprune.base"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        finalize=_legal,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["markdown"] = _markdown
    environment.filters["kind"] = lambda value: type(value).__name__
    return environment


def _markdown(text: str) -> str:
    """A text from outside on one line, with its Markdown characters escaped."""
    return re.sub(r"[*`\[\]<>|\\]", r"\\\g<0>", one_line(text))


def _legal(value: object) -> object:
    """The value of an expression, with `legal_text` applied; `Markup` is HTML already."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return legal_text(value)
    return value
