"""The record of a statistic: a sum over tokens of the features at a site."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, Bool, Float

# How values of samples become those of a set.
SAMPLES, RUNNING = "samples", "running"


@dataclasses.dataclass(frozen=True)
class Statistic:
    """A sum over the tokens of a set of samples. A file in `statistics/` that declares one as `STATISTIC` adds it.

    Attributes:
      name: by which methods ask for it.
      of_rows: (features [B, T, D], real tokens bool [B, T]) → float32 [B, ...], the value of each sample. Pure: it is
        compiled into the pass. Pads hold anything, NaN too, and must not count.
      reduction: "samples": the values leave the devices and are added on the host in float64 in the order of the
        samples, so that the sum has the same bits on any mesh. "running": they are added on the devices as they come,
        in float32, for values too large to keep one a sample; see `running` for the order.
      persisted: whether it is saved with a run, stacked over layers. What is not is there for one block at a time.
      never_zero: whether features that are all zero are an error, as no weight could be told from another by them.
    """

    name: str
    of_rows: Callable[[Float[Array, "B T D"], Bool[Array, "B T"]], Float[Array, "B ..."]]
    reduction: str = SAMPLES
    persisted: bool = True
    never_zero: bool = False
