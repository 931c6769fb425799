"""The record of a way to round a kernel to a grid, and the method that prunes no weight but rounds all."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxprune.models.grids import Grid
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import DEMONSTRATIONS, Inputs
from jaxprune.pruning.method import Method, Prepare, Pruned


@dataclasses.dataclass(frozen=True)
class Rounding:
    """A way to round a kernel to a grid. A file in `roundings/` that declares one as `ROUNDING` adds it.

    Attributes:
      name: value of `quantize.how`.
      meaning: description for `--help` and the page of settings.
      round: (kernel [in, out], inputs, grid) → float32 [in, out] on the grid; see `Method.prune`.
      needs, prepare, on_host: see `Method`.
    """

    name: str
    meaning: str
    round: Callable[[Any, Inputs, Grid], Any]
    needs: tuple[tuple[str, str], ...] = ()
    prepare: Prepare | None = None
    on_host: bool = False


@functools.cache
def rounding_method(rounding: Rounding, grid: Grid) -> Method:
    """The method that keeps all weights and rounds them to a grid."""

    def prune(kernel: Float[Array, "in out"], inputs: Inputs, budget: Budget) -> Pruned:
        del budget
        new = rounding.round(kernel, inputs, grid)
        stats = inputs.stats.get(DEMONSTRATIONS, {})
        return Pruned(jnp.ones(kernel.shape, bool), new, changed_share(kernel, new, stats))

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
