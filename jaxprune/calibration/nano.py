"""The short name "nano" in a field → the folder of the package with the bundled models' text, by what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

NANO = "nano"
# Tables and charts show them in this order, which the names of files cannot say.
LANGUAGES = ("en", "fr", "es", "de", "sw")
_BUNDLED = Path(__file__).parents[1] / "nano"

# The folders of jaxprune/nano.
Use = Literal["calibration", "perplexity", "translation"]


class TextPlace(NamedTuple):
    """Where text is.

    Attributes:
      data: a folder or a hub data set id.
      languages: codes, where they have an order of their own; empty where the names of the files tell.
    """

    data: str | Path
    languages: tuple[str, ...] = ()


def text_place(data: str | Path, use: Use) -> TextPlace:
    """Where the text is that a field names: "nano" is a folder of the package, all else is itself.

    Args:
      data: value of a field such as `calibration.data`.
      use: what the text is for; each use of nano has a folder.
    """
    if str(data) == NANO:
        return TextPlace(_BUNDLED / use, LANGUAGES)
    return TextPlace(data)
