"""The short name "nano" in a field → the folder of the package with the bundled models' text, by what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

NANO = "nano"
# The order in tables and charts, which the names of files cannot give.
LANGUAGES = ("en", "fr", "es", "de", "sw")
_BUNDLED = Path(__file__).parents[1] / "nano"

# The folders of jaxprune/nano.
Use = Literal["calibration", "perplexity", "translation"]


class TextPlace(NamedTuple):
    """The place of a text.

    Attributes:
      data: a folder or a hub data set id.
      languages: codes, where their order is fixed; empty where the names of the files give them.
    """

    data: str | Path
    languages: tuple[str, ...] = ()


def text_place(data: str | Path, use: Use) -> TextPlace:
    """The place of the text that a field names: "nano" is a folder of the package, anything else stays as it is.

    Args:
      data: value of a field such as `calibration.data`.
      use: the purpose of the text; nano has a folder for each.
    """
    if str(data) == NANO:
        return TextPlace(_BUNDLED / use, LANGUAGES)
    return TextPlace(data)
