"""Allocations: overall sparsity → sparsity of each block. Each file declares an `Allocation` as ALLOCATION."""

import math
import sys
from collections.abc import Mapping, Sequence

from jaxprune.declared import declared
from jaxprune.errors import InputError, refusal, shown
from jaxprune.pruning.allocations.allocation import Allocation as Allocation
from jaxprune.schema import is_number

ALLOCATIONS: Mapping[str, Allocation] = {
    one.name: one for one in declared(sys.modules[__name__], "ALLOCATION")
}
UNIFORM = ALLOCATIONS["uniform"]
_NEAR = 1e-6  # of the overall sparsity


def allocation_of(chosen: str | Allocation) -> Allocation:
    """The allocation of this name, or a record; InputError for an unknown name."""
    if isinstance(chosen, Allocation):
        return chosen
    if not (isinstance(chosen, str) and chosen in ALLOCATIONS):
        raise refusal("allocation", chosen, ALLOCATIONS)
    return ALLOCATIONS[chosen]


def layer_shares(allocation: Allocation, sizes: Sequence[int], sparsity: float) -> list[float]:
    """The share of each block to drop.

    Args:
      sizes: number of prunable weights of each block.

    Raises:
      InputError: the allocation returns an invalid share, another number of shares, or another overall sparsity.
    """
    found = list(allocation.shares(sizes, sparsity))
    where = f"allocation {allocation.name}"
    if len(found) != len(sizes) or not all(is_number(s) and 0 <= s < 1 for s in found):
        raise InputError(
            f"{where}: got {shown(found)}; allowed: {len(sizes)} shares s with 0 <= s < 1, one a block"
        )
    overall = sum(s * n for s, n in zip(found, sizes, strict=True)) / sum(sizes)
    if not math.isclose(overall, sparsity, abs_tol=_NEAR):
        raise InputError(f"{where}: drops {overall:.6g} of all weights; allowed: {sparsity:g}")
    return [float(s) for s in found]
