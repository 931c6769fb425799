"""Uniform: the same share of every block, as in the paper."""

from jaxprune.pruning.allocations.allocation import Allocation, Blocks


def shares(blocks: Blocks) -> list[float]:
    """The overall sparsity for each block."""
    return [blocks.sparsity] * len(blocks.sizes)


ALLOCATION = Allocation("uniform", "the same in every block", shares)
