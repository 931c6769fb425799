"""A model under masks: blocks are read from the dense model, and dropped weights are +0 as they are read."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from typing import Any

import numpy as np

from jaxprune.hf import Fingerprint, Model, ParameterSource, ShardWriter, stack_layers
from jaxprune.pruning.block_masks import zero_dropped
from jaxprune.pruning.digests import hash_masks
from jaxprune.pruning.packed import PackedMasks


@dataclasses.dataclass(frozen=True)
class Masked:
    """A `ParameterSource` of pruned blocks, with the bits that their export would have.

    Attributes:
      dense: where the parameters come from.
      masks: of all layers, by kernel path within a block.
      layers: how many there are.
    """

    dense: ParameterSource
    masks: PackedMasks
    layers: int

    @functools.cached_property
    def fingerprint(self) -> Fingerprint:
        """Of the dense model and the masks."""
        dense, masks = self.dense.fingerprint, hashlib.sha256()
        for layer in range(self.layers):
            hash_masks(masks, self.masks.layer(layer))
        return Fingerprint({"model": dense.digest, "masks": masks.hexdigest()}, dense.states)

    def dtype_of(self, path: str, layer: int = 0) -> np.dtype:
        """See `ParameterSource`."""
        return self.dense.dtype_of(path, layer)

    def all(self) -> dict[str, Any]:
        """Every parameter, blocks stacked [L, …]."""
        blocks = [self.block_of(i, self.block_share(i)) for i in range(self.layers)]
        return {
            "embed": self.part("embed"),
            "blocks": stack_layers(blocks),
            "head": self.part("head"),
        }

    def part(self, path: str) -> dict[str, Any]:
        """Outside the blocks nothing is pruned."""
        return self.dense.part(path)

    def block_share(self, layer: int) -> Any:
        """Of the dense block."""
        return self.dense.block_share(layer)

    def block_of(self, layer: int, share: Any) -> dict[str, Any]:
        """The block, its dropped weights +0."""
        return zero_dropped(self.dense.block_of(layer, share), self.masks.layer(layer).unpack())

    def embed_rows(self, tokens: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
        """See `ParameterSource`."""
        return self.dense.embed_rows(tokens)

    def head_rows(self, tokens: np.ndarray) -> np.ndarray:
        """See `ParameterSource`."""
        return self.dense.head_rows(tokens)

    def copy_unpruned(self, shards: ShardWriter) -> None:
        """See `ParameterSource`."""
        self.dense.copy_unpruned(shards)


def under_masks(model: Model, masks: PackedMasks) -> Model:
    """The model with these masks on; `masks` are of its blocks, by kernel path within one."""
    return dataclasses.replace(model, source=Masked(model.source, masks, model.config.n_layers))
