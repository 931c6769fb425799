"""The record of a combination: statistics of several sets → the one that a method receives."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float


@dataclasses.dataclass(frozen=True)
class Combination:
    """A way to combine the statistics of several languages; each is a file in `combinations/`.

    Attributes:
      name: value of `calibration.combine`.
      meaning: description, for `--help` and the page of settings.
      combine: (the statistic of each set, a sum over its tokens; the number of tokens of each set) → the
        combined statistic, of the same shape. On the host; sums of squares are float64.
    """

    name: str
    meaning: str
    combine: Callable[
        [Sequence[Float[np.ndarray, "*dims"]], Sequence[int]], Float[np.ndarray, "*dims"]
    ]
