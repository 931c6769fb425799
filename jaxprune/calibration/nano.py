"""The short name "nano" in a field → the bundled folder of texts, by use."""

from pathlib import Path
from typing import Literal, NamedTuple

NANO = "nano"
# The order in tables and charts.
LANGUAGES = ("en", "fr", "es", "de", "sw")
_BUNDLED = Path(__file__).parents[1] / "nano"

# The folders of jaxprune/nano.
Use = Literal["calibration", "perplexity", "translation"]


class TextPlace(NamedTuple):
    """The place of a text.

    Attributes:
      data: a folder or a hub data set id.
      languages: codes in a fixed order; empty if the names of the files determine them.
    """

    data: str | Path
    languages: tuple[str, ...] = ()


def text_place(data: str | Path, use: Use) -> TextPlace:
    """The place of the text of a field: "nano" is a folder of the package; any other value is kept.

    Args:
      data: value of a field such as `calibration.data`.
      use: of the text; "nano" has a folder for each.
    """
    if str(data) == NANO:
        return TextPlace(_BUNDLED / use, LANGUAGES)
    return TextPlace(data)
