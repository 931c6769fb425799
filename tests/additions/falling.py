"""An allocation: the first blocks lose more than the last."""

from jaxprune.pruning.allocations.allocation import Allocation


def shares(blocks):
    middle = (len(blocks.sizes) - 1) / 2
    return [blocks.sparsity + 0.05 * (middle - layer) for layer in range(len(blocks.sizes))]


ALLOCATION = Allocation("falling", "more in the first blocks", shares)
