"""The result of pruning or recovering a block, and the block with this result."""

import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.devices.compiled import compiled
from jaxprune.models import masks
from jaxprune.models.grids.grid import Weight, values_of
from jaxprune.models.trees import BlockParams
from jaxprune.stats.blocks import converted
from jaxprune.stats.stats import Sums


class FinishedLayer(NamedTuple):
    """The result of pruning or recovering a layer; with the dense model it restores the layer.

    Attributes:
      keep: kernel path → bool [in, out], True = kept.
      changed: parameters with new values, by path within the block, dropped weights +0: in their stored dtype, or
        kernels on a grid; all others have the masked values of the dense model.
      sums: the statistics of the layer; empty for methods without statistics.
      damping: site → the damping of its Gram matrix, where the method had to raise it.
      loss: loss on the held-out samples before and after recovery; None without recovery.
      errors: kernel path → the share of its squared outputs that changes, where the method measures it.
    """

    keep: dict[str, np.ndarray]
    changed: dict[str, Weight]
    sums: Sums
    damping: dict[str, float]
    loss: tuple[float, float] | None = None
    errors: Mapping[str, float] = MappingProxyType({})


@dataclasses.dataclass
class PrunedBlock:
    """One pruned block.

    Attributes:
      layer: index of the block.
      params: parameters on the host in their stored dtype, dropped weights +0.
      finished: its difference from the dense block.
      seconds: seconds by stage: read, statistics, select, forward, recover.
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


def put_back(
    params: BlockParams,
    keep: Mapping[str, np.ndarray],
    changed: Mapping[str, Weight],
    dtype: str,
) -> BlockParams:
    """A block on the devices with dropped weights +0 and changed weights replaced."""
    flat = flatten_dict(params, sep="/")
    masked = {path: mask for path, mask in keep.items() if path not in changed}
    if masked:
        where = {path: flat[path].sharding for path in masked}
        flat |= drop_weights({p: flat[p] for p in masked}, jax.device_put(masked, where))
    for path, leaf in changed.items():
        flat[path] = jax.device_put(converted(values_of(leaf), dtype), flat[path].sharding)
    return unflatten_dict(flat, sep="/")


@functools.partial(compiled, donate_argnames="kernels")
def drop_weights(kernels: dict[str, Any], keep: dict[str, Any]) -> dict[str, Any]:
    """Kernels of a block with the dropped weights +0, with unchanged sharding."""
    return dict(masks.apply(kernels, keep))
