"""The result of pruning a block: masks, changed weights and statistics, and its parameters."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from jaxprune.models import BlockParams
from jaxprune.passes import Sums


class FinishedLayer(NamedTuple):
    """The result of pruning or recovering a layer, which with the dense model replaces doing it again.

    Attributes:
      keep: kernel path → bool [in, out], True = kept.
      changed: parameters with new values, by path within the block, in their stored dtype, dropped weights +0; all
        others have the masked values of the dense model.
      sums: the statistics of the layer; empty for methods without statistics.
      damping: site → the damping of its Gram matrix, where the method had to raise it.
      loss: of recovery on its held-out samples, before and after; None without recovery.
    """

    keep: dict[str, np.ndarray]
    changed: dict[str, np.ndarray]
    sums: Sums
    damping: dict[str, float]
    loss: tuple[float, float] | None = None


@dataclasses.dataclass
class PrunedBlock:
    """One pruned block.

    Attributes:
      layer: its index.
      params: its parameters on the host in their stored dtype, dropped weights +0.
      finished: its difference from the dense block.
      seconds: by stage: read, statistics, select, forward, recover.
    """

    layer: int
    params: BlockParams
    finished: FinishedLayer
    seconds: dict[str, float]

    @property
    def keep(self) -> dict[str, np.ndarray]:
        """Kernel path → bool [in, out], True = kept."""
        return self.finished.keep

    @functools.cached_property
    def kept(self) -> dict[str, tuple[int, int]]:
        """(kept weights, all weights) of each kernel."""
        return {path: (int(mask.sum()), mask.size) for path, mask in self.keep.items()}
