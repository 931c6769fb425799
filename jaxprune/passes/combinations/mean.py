"""The mean: all languages have equal weight, whatever their number of tokens."""

from jaxprune.passes.combinations.combination import Combination
from jaxprune.passes.combinations.weights import combine

# without `calibration.weights` each set has weight 1
COMBINATION = Combination("mean", "all languages have equal weight", combine, linear=True)
