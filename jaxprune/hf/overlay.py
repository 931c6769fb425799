"""A pruned model in memory: masks are applied to each dense block when it is read."""

import dataclasses
import functools
from typing import Any

import numpy as np

from jaxprune.hf.fingerprint import Fingerprint
from jaxprune.hf.layer_digests import masks_digest
from jaxprune.hf.model import Model
from jaxprune.hf.shards import ShardWriter
from jaxprune.hf.source import ParameterSource
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.pruned_block import pruned_params


@dataclasses.dataclass(frozen=True)
class Overlay:
    """A `ParameterSource` of pruned blocks, with the bits of their export.

    Attributes:
      dense: the source of the dense model.
      masks: masks of all layers, by kernel path within a block.
    """

    dense: ParameterSource
    masks: PackedMasks

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the dense model and the masks together."""
        digests = {"model": self.dense.fingerprint.digest, "masks": masks_digest(self.masks)}
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
        return pruned_params(dense, self.masks.layer(layer).unpack(), {})

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        return self.dense.embed_rows(tokens)

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        return self.dense.head_rows(tokens)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        self.dense.copy_unpruned(shards)


def overlaid(model: Model, masks: PackedMasks) -> Model:
    """The model with masks applied to the kernels of its blocks."""
    return dataclasses.replace(model, source=Overlay(model.source, masks))
