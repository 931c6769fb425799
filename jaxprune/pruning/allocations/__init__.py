"""Allocations: overall sparsity → sparsity of each block. Each file declares an `Allocation` as ALLOCATION.

An allocation maps the sizes of the blocks and the overall sparsity to a share of each block, or of each kernel. It
may measure one number per block of the dense model, from the block's kernels and optionally the norms of their
inputs, by a function that is compiled once for all blocks and runs on one device; or numbers of the whole model, such
as those of `sensitivities`. They are measured before the first block is pruned, are those of process 0 in all
processes, and are kept in the record of the run, so a resumed run has the same shares. The norms take a pass of the
dense model, also with `propagate="dense"`, whose pass comes later; saved statistics replace both. A list of shares is
part of a run's identity by its content. An allocation may also give kernels methods of their own, as that of
`quantize.size` gives them grids. Kernels that `pruning.ignore` matches have no share: their masks are all True, and no
pruning program sees them.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.base.errors import invalid_value
from jaxprune.base.schema import rule
from jaxprune.pruning.allocations.allocation import Allocation as Allocation
from jaxprune.pruning.allocations.allocation import AllocationLike as AllocationLike
from jaxprune.pruning.allocations.allocation import Blocks as Blocks
from jaxprune.pruning.allocations.listed import ALLOWED, is_list, listed_allocation
from jaxprune.pruning.allocations.listed import text_of as text_of

ALLOCATIONS: Mapping[str, Allocation] = {
    allocation.name: allocation for allocation in discover(sys.modules[__name__], "ALLOCATION")
}
UNIFORM = ALLOCATIONS["uniform"]
_ALLOWED = f"{', '.join(ALLOCATIONS)}, or {ALLOWED}"
ALLOCATION = rule(
    _ALLOWED,
    lambda value: isinstance(value, str) and (value in ALLOCATIONS or is_list(value)),
    UNIFORM.name,
    choices=tuple(ALLOCATIONS),
    meaning="distribution of sparsity over the blocks: "
    + ", ".join(f"`{a.name}`, {a.meaning}" for a in ALLOCATIONS.values())
    + f", or {ALLOWED}; their mean over all weights must be `pruning.sparsity`",
)


def allocation_of(chosen: AllocationLike) -> Allocation:
    """The allocation of a name, a record, a function of `Blocks`, or a list of shares, see `listed_allocation`.

    A custom record is copied each time, as by `method_of`.

    Raises:
      InputError: an unknown name, a file that cannot be read, or a share out of range.
    """
    if isinstance(chosen, Allocation):
        measure = chosen.measure and functools.partial(chosen.measure)
        return dataclasses.replace(chosen, measure=measure)
    if callable(chosen):
        name = getattr(chosen, "__name__", type(chosen).__name__)
        return Allocation(name, "a function of the blocks", chosen)
    if isinstance(chosen, str) and chosen in ALLOCATIONS:
        return ALLOCATIONS[chosen]
    if not is_list(chosen):
        allowed = f"{_ALLOWED}, or in Python a function of the blocks"
        raise invalid_value("allocation", chosen, allowed, choices=ALLOCATIONS)
    return listed_allocation(chosen)
