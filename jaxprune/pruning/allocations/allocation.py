"""The record of an allocation: overall sparsity → sparsity of each block."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from jaxtyping import Array


class Blocks(NamedTuple):
    """The blocks of a model, in order, as input of an allocation.

    Attributes:
      sizes: number of weights of each block that may be dropped; 0 if `pruning.ignore` matches all of its kernels.
      sparsity: the share of all these weights to drop.
      measured: the result of `Allocation.measure` or `Allocation.measure_model` for each block; empty without them.
      slope: `pruning.slope`, for allocations with the option.
      kernels: number of weights of each kernel that may be dropped, by name, for each block.
    """

    sizes: Sequence[int]
    sparsity: float
    measured: Sequence[Any] = ()
    slope: float = 0.0
    kernels: Sequence[Mapping[str, int]] = ()


@dataclasses.dataclass(frozen=True)
class Allocation:
    """A distribution of sparsity over the blocks. A file in `allocations/` that declares one as `ALLOCATION` adds it.

    Attributes:
      name: value of `pruning.allocation`.
      meaning: description for `--help` and the page of settings.
      shares: blocks → the share of each block to drop, 0 <= s < 1, or its share by kernel; their mean weighted by the
        numbers of weights is the overall sparsity.
      measure: (kernels [in, out] by path, norms of their inputs by path) → a number for the block. Pure and traceable:
        it is compiled once and called for all blocks of the dense model, on one device. Ignored kernels are included.
      reads_samples: whether the calibration set is read. `measure` then gets norms, ‖X_j‖₂ without code, float32 [in],
        with languages combined as for a criterion, which take a pass of the dense model; otherwise it gets none.
      options: ("slope",) if it reads the slope.
      measure_model: instead of `measure`, (model, batches, settings, mesh=, progress=) → a value of JSON for each
        block.
      methods: (model, what was measured) → the `Method` of each kernel of each block, by path; None if all kernels have
        the method of the settings.
    """

    name: str
    meaning: str
    shares: Callable[[Blocks], Sequence[float | Mapping[str, float]]]
    measure: Callable[[Mapping[str, Array], Mapping[str, Array]], Any] | None = None
    reads_samples: bool = False
    options: tuple[str, ...] = ()
    measure_model: Callable[..., list[Any]] | None = None
    methods: Callable[[Any, Sequence[Any]], Sequence[Mapping[str, Any]]] | None = None

    @property
    def is_measured(self) -> bool:
        """Whether its shares depend on measurements of the model."""
        return self.measure is not None or self.measure_model is not None


# A name or a record; a function of the blocks → their shares; shares by layer, or by layer and kernel.
AllocationLike: TypeAlias = (
    str
    | Allocation
    | Callable[[Blocks], Sequence[float | Mapping[str, float]]]
    | Mapping[str, Any]
    | Sequence[float]
)
