"""Draws: disjoint parts of the calibration text, for intervals over texts."""

import operator
import re
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from jaxprune.base.schema import rule

_SHAPE = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")


def draw_field(meaning: str = "") -> Any:
    """A field for one of n draws, as 2/5."""
    return rule(
        "one of several draws, as 2/5 for the second of five",
        lambda value: isinstance(value, str) and operator.lt(*numbers(value)),
        meaning=meaning,
    )


def numbers(draw: str) -> tuple[int, int]:
    """(draw from 0, number of draws); (0, 0) if the text has another form."""
    match = _SHAPE.fullmatch(draw)
    return (int(match[1]) - 1, int(match[2])) if match else (0, 0)


def lines_of_draw(documents: Sequence[Hashable], draw: str) -> Int[np.ndarray, " lines"]:
    """Indices of the lines of a draw, ascending.

    Whole documents, in the order of their first lines, go to the draw with the fewest lines so far, the first of
    several. All draws together hold every line once.

    Args:
      documents: the document of each line.
      draw: text such as 2/5.
    """
    own, count = numbers(draw)
    by_document: dict[Hashable, list[int]] = {}
    for line, document in enumerate(documents):
        by_document.setdefault(document, []).append(line)
    draws: list[list[int]] = [[] for _ in range(count)]
    for lines in by_document.values():
        min(draws, key=len).extend(lines)
    return np.sort(np.array(draws[own], dtype=int))
