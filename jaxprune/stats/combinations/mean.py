"""The mean: all languages have equal weight, regardless of their number of tokens."""

from jaxprune.stats.combinations.combination import Combination
from jaxprune.stats.combinations.weights import combine

# without `calibration.weights` each set has weight 1
COMBINATION = Combination("mean", "all languages have equal weight", combine, linear=True)
