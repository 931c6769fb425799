"""A model with masks on: blocks are read from the dense model's files and pruned as they are read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxprune.hf import Model
from jaxprune.pruning import masks as mask_algebra
from jaxprune.pruning import zero_dropped
from jaxprune.runs import checkpoint


@dataclasses.dataclass(frozen=True)
class Masked(Model):
    """A dense model of which `block` gives pruned blocks, with the bits that its export would have.

    Attributes:
      packed: masks as a checkpoint holds them, one bit a weight (see `masks.pack`).
    """

    packed: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def block_of(self, layer: int, share: Any) -> dict[str, Any]:
        """`Model.block_of`, dropped weights +0."""
        one = {
            path: {"bits": record["bits"][layer], "shape": record["shape"][1:]}
            for path, record in self.packed.items()
        }
        return zero_dropped(super().block_of(layer, share), mask_algebra.unpack(one))

    @property
    def params(self) -> Mapping[str, Any]:
        """All parameters on the host; made anew at each call."""
        blocks = [self.block(layer) for layer in range(self.config.n_layers)]
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *blocks)
        return {**super().params, "blocks": stacked}


def masked(model: Model, folder: Path) -> Masked:
    """The model under the masks of a pruning run.

    Raises:
      InputError: the run's checkpoint has no masks.
    """
    packed = mask_algebra.bits_by_kernel(checkpoint.restore_packed_masks(folder / "checkpoint"))
    return Masked(model.config, model.folder, model.weights, model.loaded, packed)
