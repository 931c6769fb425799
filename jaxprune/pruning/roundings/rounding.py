"""The record of a way to round a kernel to a grid, and the method that prunes no weight but rounds all."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.models.grids.grid import Weight, values_of
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.method import Method, Prepare, Pruned


@dataclasses.dataclass(frozen=True)
class Rounding:
    """A way to round a kernel to a grid. A file in `roundings/` that declares one as `ROUNDING` adds it.

    Attributes:
      name: value of `quantize.how`.
      meaning: description for `--help` and the page of settings.
      round: (kernel [in, out], inputs, grid) → the kernel on the grid: a record, or float32 [in, out] of numbers
        without scale; weights that `inputs.keep` drops are 0. See `Method.prune`.
      needs, prepare, on_host: see `Method`.
    """

    name: str
    meaning: str
    round: Callable[[Any, Inputs, Grid], Weight]
    needs: tuple[tuple[str, str], ...] = ()
    prepare: Prepare | None = None
    on_host: bool = False


@functools.cache
def rounding_method(rounding: Rounding, grid: Grid) -> Method:
    """The method that keeps all weights and rounds them to a grid."""

    def prune(kernel: Float[Array, "in out"], inputs: Inputs, budget: Budget) -> Pruned:
        del budget
        new: Any = rounding.round(kernel, inputs, grid)
        stats = inputs.stats.get(DEMONSTRATIONS, {})
        keep: Any = jnp.ones(kernel.shape, bool) if inputs.keep is None else inputs.keep
        return Pruned(keep, new, changed_share(kernel, values_of(new), stats))

    return Method(
        rounding.name, rounding.meaning, prune,
        needs=rounding.needs, updates_weights=True, selects=True, prepare=rounding.prepare, on_host=rounding.on_host,
    )  # fmt: skip


def changed_share(kernel: Any, new: Any, stats: Mapping[str, Any]) -> Any:
    """The share of the squared outputs that a rounding changes.

    Args:
      stats: "gram", the Gram matrix of the inputs, with which outputs are those on the calibration set; or "squares",
        with which the inputs count as independent; or nothing, with which they also have the same size.
    """

    def squared(weights: Any) -> Any:
        if "gram" in stats:
            return (weights * (stats["gram"] @ weights)).sum()
        counts = stats["squares"][:, None] if "squares" in stats else 1.0
        return (weights * weights * counts).sum()

    whole = squared(kernel)
    return squared(new - kernel) / (whole + (whole == 0))  # 0 for a kernel of zeros
