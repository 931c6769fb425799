"""Weights: each language has the weight of `calibration.weights`."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.stats.combinations.combination import Combination


def combine(
    sums: Sequence[Float[np.ndarray, "*dims"]],
    tokens: Float[np.ndarray, " sets"],
    weights: Float[np.ndarray, " sets"],
) -> Float[np.ndarray, "*dims"]:
    """The weighted mean over sets of their means over tokens, times the number of all tokens."""
    factors = tokens.sum() / weights.sum() * weights / tokens
    return np.sum([total * factor for total, factor in zip(sums, factors, strict=True)], 0)


COMBINATION = Combination(
    "weights", "each language has its weight in `calibration.weights`", combine, linear=True
)
