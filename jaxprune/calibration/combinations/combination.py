"""The record of a combination: statistics of several sets → the one that a method sees."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Combination:
    """A way to make one statistic of several languages'. A file in `combinations/` that declares one adds it.

    Attributes:
      name: value of `calibration.combine`.
      meaning: in words, for `--help` and the page of settings.
      combine: (a statistic of each set, sums over its tokens; the number of tokens of each set) → the
        statistic that replaces them, of the same shape. On the host; sums of squares are float64.
    """

    name: str
    meaning: str
    combine: Callable[
        [Sequence[Float[np.ndarray, "*dims"]], Sequence[int]], Float[np.ndarray, "*dims"]
    ]
