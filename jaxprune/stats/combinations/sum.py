"""The sum: all tokens have equal weight, regardless of their language."""

import functools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from jaxprune.stats.combinations.combination import Combination


def combine(
    sums: Sequence[Float[np.ndarray, "*dims"]],
    tokens: Float[np.ndarray, " sets"],
    weights: Float[np.ndarray, " sets"],
) -> Float[np.ndarray, "*dims"]:
    """Σ over sets."""
    del tokens, weights
    return functools.reduce(np.add, sums)


COMBINATION = Combination("sum", "all tokens have equal weight", combine, linear=True)
