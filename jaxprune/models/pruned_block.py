"""A block as stored → the block with dropped weights +0 and changed weights."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxprune.models.grids.grid import Weight, values_of
from jaxprune.models.trees import BlockParams


def pruned_params(
    block: BlockParams, keep: Mapping[str, np.ndarray], changed: Mapping[str, Weight]
) -> dict[str, Any]:
    """The block as stored, with dropped weights +0 and changed weights replaced; all others keep their bits."""
    flat = flatten_dict(dict(block), sep="/")
    for path, mask in keep.items():
        if path not in changed:
            flat[path] = without_dropped(flat[path], mask)
    values = {path: values_of(weight) for path, weight in changed.items()}
    return unflatten_dict({**flat, **values}, sep="/")


def without_dropped(leaf: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A kernel with the bits of kept weights, and of +0 for the others."""
    bits = leaf.view(f"u{leaf.itemsize}") * mask  # 7 times as fast as np.where
    return bits.view(leaf.dtype)
