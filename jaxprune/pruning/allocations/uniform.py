"""Uniform: the same share of every block, as in the paper."""

from collections.abc import Sequence

from jaxprune.pruning.allocations.allocation import Allocation


def shares(sizes: Sequence[int], sparsity: float) -> list[float]:
    """The overall sparsity for each block."""
    return [sparsity] * len(sizes)


ALLOCATION = Allocation("uniform", "the same in every block", shares)
