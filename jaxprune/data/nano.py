"""The short name "nano" in a field → the bundled folder of texts, by use."""

from pathlib import Path
from typing import Literal

NANO = "nano"
# The order in tables and charts.
NANO_LANGUAGES = ("en", "fr", "es", "de", "sw")
_BUNDLED = Path(__file__).parents[1] / "nano"

# The folders of jaxprune/nano.
Use = Literal["calibration", "perplexity", "translation"]


def text_place(data: str | Path, use: Use) -> str | Path:
    """The folder, or hub data set id, of the text of a field: "nano" is a folder of the package.

    Args:
      data: value of a field such as `calibration.data`.
      use: use of the text; "nano" has a folder for each.
    """
    return _BUNDLED / use if str(data) == NANO else data
