"""The mean: all languages have equal weight, whatever their number of tokens."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.calibration.combinations.combination import Combination


def combine(
    sums: Sequence[Float[np.ndarray, "*dims"]],
    tokens: Float[np.ndarray, " sets"],
    weights: Float[np.ndarray, " sets"],
) -> Float[np.ndarray, "*dims"]:
    """The mean over sets of their means over tokens, times the number of all tokens."""
    del weights
    scale = tokens.sum() / len(sums)
    return np.sum([total * (scale / count) for total, count in zip(sums, tokens, strict=True)], 0)


COMBINATION = Combination("mean", "all languages have equal weight", combine, linear=True)
