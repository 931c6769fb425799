"""The record of a combination: statistics of several sets → the statistic that a method receives."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

Combine = Callable[
    [Sequence[Float[np.ndarray, "*dims"]], Float[np.ndarray, " sets"], Float[np.ndarray, " sets"]],
    Float[np.ndarray, "*dims"],
]


@dataclasses.dataclass(frozen=True)
class Combination:
    """A way to combine the statistics of several languages; each is a file in `combinations/`.

    Attributes:
      name: value of `calibration.combine`.
      meaning: description, for `--help` and the page of settings.
      combine: (the statistic of each set, a sum over its tokens; the number of tokens of each set; the weight of each
        set, 1 unless `calibration.weights` is set) → the combined statistic, of the same shape, as a sum over the
        tokens of all sets. On the host; sums of squares are float64.
      linear: whether it is a weighted sum, as statistics require that contain products or signs.
    """

    name: str
    meaning: str
    combine: Combine
    linear: bool = False
