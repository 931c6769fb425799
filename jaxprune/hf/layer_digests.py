"""Digests of the results of a pruning run, in the order of layers and paths, for verification."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from jaxprune.models.grids.grid import Weight, values_of
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import BlockParams


def hash_masks(digest: Any, masks: PackedMasks) -> None:
    """Adds the mask bits of one block to a hashlib digest."""
    for path in sorted(masks.bits):
        digest.update(np.ascontiguousarray(masks.bits[path]).data)


def masks_digest(masks: PackedMasks) -> str:
    """The SHA-256 of the mask bits of all blocks."""
    digest = hashlib.sha256()
    for layer in masks.layers:
        hash_masks(digest, layer)
    return digest.hexdigest()


def hash_changed(digest: Any, changed: Mapping[str, Weight]) -> None:
    """Adds the changed parameters of one block, in their stored dtype, to a hashlib digest."""
    for path in sorted(changed):
        leaf = values_of(changed[path])
        digest.update(f"{path} {leaf.dtype} {leaf.shape}\n".encode())
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)


def hash_weights(digest: Any, params: BlockParams) -> None:
    """Adds all parameters of one block, in their stored dtype, to a hashlib digest."""
    for _, leaf in sorted(flatten_dict(dict(params)).items()):
        digest.update(np.ascontiguousarray(leaf).view(np.uint8).data)
