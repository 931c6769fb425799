"""An allocation: the first blocks lose more than the last."""

from jaxprune.pruning.allocations.allocation import Allocation


def shares(sizes, sparsity):
    middle = (len(sizes) - 1) / 2
    return [sparsity + 0.05 * (middle - layer) for layer in range(len(sizes))]


ALLOCATION = Allocation("falling", "more in the first blocks", shares)
