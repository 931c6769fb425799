"""The record of a method that does more than score weights: it may read any statistic and change weights."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Bool, Float, Shaped

from jaxprune.models.grids.grid import Quantized
from jaxprune.pruning.budget import Budget
from jaxprune.pruning.criterion import Criterion, Inputs, Measures


class Pruned(NamedTuple):
    """A kernel after pruning.

    Attributes:
      keep: bool [in, out], True = kept.
      kernel: float [in, out], new values of the kept weights, or their record on a grid; None if they are unchanged.
      error: float32 [], for the report: the share of the squared outputs that changes; None if it is not measured.
    """

    keep: Bool[Array, "in out"]
    kernel: Float[Array, "in out"] | Quantized | None = None
    error: Float[Array, ""] | None = None


class Prepared(NamedTuple):
    """Quantities of a site, shared by all kernels that read it.

    Attributes:
      stats: set → name → array, in place of the statistics in `Inputs.stats`.
      damping: float32 [], at least `stats.DAMPING`; NaN if the Gram matrix could not be factored.
    """

    stats: Mapping[str, Mapping[str, Shaped[Array, "*dims"]]]
    damping: Float[Array, ""]


# (statistics of a site, `Inputs.tokens`) → the quantities in their place.
Prepare = Callable[[Mapping[str, Mapping[str, Any]], Mapping[str, Float[Array, ""]]], Prepared]


@dataclasses.dataclass(frozen=True)
class Method(Measures):
    """A method to prune a kernel. A file in `methods/` that declares one as `METHOD` adds it everywhere.

    A method that only scores weights is a `Criterion`.

    Attributes:
      name: value of `pruning.criterion`.
      meaning: description for `--help` and the page of settings.
      prune: (kernel [in, out], inputs, budget) → `Pruned`. Pure and traceable: it is compiled once and called for all
        kernels of all blocks. `budget.keep(scores)` selects the weights to keep.
      needs: the (set, statistic) pairs that it reads, with sets "demonstrations" and "code".
      options: ("seed",) if it draws random numbers.
      by_column: whether the result of an output column is independent of other columns. If so, `prune` gets stripes of
        a kernel's columns, distributed over the devices; otherwise each kernel is pruned by one device.
      updates_weights: whether it changes kept weights. If so, its kernel is the stored one in float32, whatever the
        dtype on the devices.
      selects: whether it selects weights itself, by `Budget.blocks` or the pattern; then `threshold`, `drop` and
        `group` must have their default values.
      prepare: (statistics of a site, `Inputs.tokens`) → `Prepared`, computed once for all kernels that read the site;
        None if they get the statistics themselves, as with `by_column`.
      on_host: whether `prune` is a function of numpy arrays, which the host calls for one kernel after the other, and
        need not be traceable.
      on: `pruning.start`, another method with whose mask this one begins → this method; None for other methods.
    """

    name: str
    meaning: str
    prune: Callable[[Float[Array, "in out"], Inputs, Budget], Pruned]
    needs: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    by_column: bool = False
    updates_weights: bool = False
    selects: bool = False
    prepare: Prepare | None = None
    on_host: bool = False
    on: "Callable[[Method | Criterion], Method] | None" = None
