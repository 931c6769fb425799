"""The maximum: a feature counts as much as in the language where it is largest."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.stats.combinations.combination import Combination


def combine(
    sums: Sequence[Float[np.ndarray, "*dims"]],
    tokens: Float[np.ndarray, " sets"],
    weights: Float[np.ndarray, " sets"],
) -> Float[np.ndarray, "*dims"]:
    """The largest mean over tokens of a set, times the number of all tokens."""
    del weights
    scale = tokens.sum()
    return np.max([total * (scale / count) for total, count in zip(sums, tokens, strict=True)], 0)


COMBINATION = Combination("max", "a feature counts as in the language where it is largest", combine)
