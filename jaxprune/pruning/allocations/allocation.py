"""The record of an allocation: overall sparsity → sparsity of each block."""

import dataclasses
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Allocation:
    """A distribution of sparsity over the blocks. A file in `allocations/` that declares one as `ALLOCATION` adds it.

    Attributes:
      name: value of `pruning.allocation`.
      meaning: description for `--help` and the page of settings.
      shares: (number of prunable weights of each block, overall sparsity) → the share of each block to drop,
        0 <= s < 1; their mean weighted by the numbers of weights is the overall sparsity.
    """

    name: str
    meaning: str
    shares: Callable[[Sequence[int], float], Sequence[float]]
