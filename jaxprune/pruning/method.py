"""The record of a method that does more than score weights: it may read any statistic, and may change weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Array, Bool, Float

from jaxprune.errors import refusal
from jaxprune.passes import STATISTICS
from jaxprune.pruning.criterion import CODE, DEMONSTRATIONS, Inputs, Measures
from jaxprune.pruning.drop import Drop


class Pruned(NamedTuple):
    """A kernel after pruning.

    Attributes:
      keep: bool [in, out], True = kept.
      kernel: float [in, out], new values of the weights that are kept; None where these stay as they are.
    """

    keep: Bool[Array, "in out"]
    kernel: Float[Array, "in out"] | None = None


@dataclasses.dataclass(frozen=True)
class Method(Measures):
    """A way to prune a kernel. A file in `methods/` that declares one as `METHOD` adds it everywhere.

    A method that only scores weights is a `Criterion`.

    Attributes:
      name: value of `pruning.criterion`.
      meaning: in words, for `--help` and the page of settings.
      prune: (kernel [in, out], inputs, drop) → `Pruned`. Pure, fit for jit: it is compiled once and called for all
        kernels of all blocks. `drop.keep(scores)` selects what stays.
      needs: the (set, statistic) pairs that it reads, of the sets "demonstrations" and "code".
      options: "seed" where it draws random numbers.
      by_column: whether the result of an output column depends on no other one. Then `prune` is given stripes of a
        kernel's columns, which devices share out; otherwise each device prunes all of it.
      updates_weights: whether it gives new values to kept weights. It then sees the kernel as it is stored, in
        float32, whatever the dtype on the devices.

    Raises:
      InputError: it needs a set or a statistic that there is not, or `prune` cannot be called.
    """

    name: str
    meaning: str
    prune: Callable[[Float[Array, "in out"], Inputs, Drop], Pruned]
    needs: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    by_column: bool = False
    updates_weights: bool = False

    def __post_init__(self) -> None:
        if not callable(self.prune):
            raise refusal("prune", self.prune, "a function of (kernel, inputs, drop)")
        for one, statistic in self.needs:
            if one not in (DEMONSTRATIONS, CODE):
                raise refusal("needs", one, (DEMONSTRATIONS, CODE))
            if statistic not in STATISTICS:
                raise refusal("needs", statistic, STATISTICS)
