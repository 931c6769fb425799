"""A pruned model in memory: masks and changed weights are applied to each dense block when it is read."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from jaxprune.hf import Fingerprint, Model, ParameterSource, ShardWriter
from jaxprune.pruning.block import pruned_params
from jaxprune.pruning.digests import hash_changed, hash_masks
from jaxprune.pruning.packed import PackedMasks

# Layer → its parameters with new values, by path within the block; see `FinishedLayer.changed`.
Changed = Callable[[int], Mapping[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Overlay:
    """A `ParameterSource` of pruned blocks, with the bits of their export.

    Attributes:
      dense: the source of the dense model.
      masks: of all layers, by kernel path within a block.
      changed: the changed weights; None if pruning changed none.
    """

    dense: ParameterSource
    masks: PackedMasks
    changed: Changed | None

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the dense model, the masks and the changed weights together."""
        masks, changed = hashlib.sha256(), hashlib.sha256()
        for layer, keep in enumerate(self.masks.layers):
            hash_masks(masks, keep)
            if self.changed is not None:
                hash_changed(changed, self.changed(layer))
        digests = {"model": self.dense.fingerprint.digest, "masks": masks.hexdigest()}
        if self.changed is not None:
            digests["changed"] = changed.hexdigest()
        return Fingerprint(digests, self.dense.fingerprint.states)

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        return self.dense.dtype_of(path, layer)

    def share(self, path: str, layer: int = 0) -> Any:
        return self.dense.share(path, layer)

    def joined(self, path: str, share: Any, layer: int = 0) -> dict[str, Any]:
        """The pruned block, or an unpruned part outside the blocks."""
        dense = self.dense.joined(path, share, layer)
        if path != "blocks":
            return dense
        changed = {} if self.changed is None else self.changed(layer)
        keep = self.masks.layer(layer).unpack()
        return pruned_params(dense, keep, changed)

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        return self.dense.embed_rows(tokens)

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        return self.dense.head_rows(tokens)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        self.dense.copy_unpruned(shards)


def overlaid(model: Model, masks: PackedMasks, changed: Changed | None = None) -> Model:
    """The model with masks applied to the kernels of its blocks, and with changed weights."""
    return dataclasses.replace(model, source=Overlay(model.source, masks, changed))
