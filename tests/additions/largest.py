"""A combination: of each feature the language where it is largest, all languages having the same weight."""

import numpy as np

from jaxprune.stats.combinations.combination import Combination


def combine(sums, tokens, weights):
    return np.max([total / count for total, count in zip(sums, tokens, strict=True)], axis=0)


COMBINATION = Combination("largest", "the language where a feature is largest", combine)
