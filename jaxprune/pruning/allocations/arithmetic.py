"""Arithmetic progression: sparsity changes by the same amount from block to block (arXiv 2502.14770)."""

import numpy as np

from jaxprune.pruning.allocations.allocation import Allocation, Blocks


def shares(blocks: Blocks) -> list[float]:
    """The overall sparsity + slope · (l − m) / (L − 1) for block l of L, with m the mean of l over all weights."""
    places = np.arange(len(blocks.sizes))
    middle = np.average(places, weights=blocks.sizes)
    steps = (places - middle) / max(1, len(places) - 1)
    return [float(share) for share in blocks.sparsity + blocks.slope * steps]


ALLOCATION = Allocation(
    "arithmetic",
    "rises by the same amount from block to block, in total by `pruning.slope`",
    shares,
    options=("slope",),
)
