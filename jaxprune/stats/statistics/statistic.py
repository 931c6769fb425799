"""The record of a statistic: a sum over tokens of the features at a site."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Bool, Float

# Reduction of the values of samples to that of a set.
SAMPLES, RUNNING = "samples", "running"


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A sum over the tokens of a set of samples. A file in `statistics/` that declares one as `STATISTIC` adds it.

    Attributes:
      name: its name in `Method.needs`.
      sample_values: (features [B, T, D], real tokens bool [B, T]) → float32 [B, ...], the value of each sample. Pure:
        it is compiled into the pass. Pads may contain anything, even NaN, and must not count.
      reduction: "samples": the host adds the values in float64 in the order of the samples, so the sum has the same
        bits on any mesh. "running": the devices add them in float32, for values too large to store for each sample;
        see `running` for the order.
      persisted: whether it is saved with a run, stacked over layers; otherwise only one block's is in memory.
      never_zero: whether it is an error if the statistic is 0 for all features, which would not rank any weight.
    """

    name: str
    sample_values: Callable[[Float[Array, "B T D"], Bool[Array, "B T"]], Float[Array, "B ..."]]
    reduction: str = SAMPLES
    persisted: bool = True
    never_zero: bool = False
