"""Methods that begin with the result of another one."""

from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Array, Float

from jaxprune.pruning.budget import Budget, group_sizes
from jaxprune.pruning.criterion import DEMONSTRATIONS, Criterion, Inputs, kernel_scores
from jaxprune.pruning.method import Method, Prepare, Prepared, Pruned

# (kernel [in, out], the result of the other method, inputs, M of an N:M pattern or None) → `Pruned`.
Then = Callable[[Float[Array, "in out"], Pruned, Inputs, int | None], Pruned]


def following(
    start: Method | Criterion, then: Then, needs: tuple[tuple[str, str], ...], **fields: Any
) -> Method:
    """A method that changes the result of another one.

    Args:
      start: the other method.
      then: what this one does; each output column must be independent of the others.
      needs: the statistics that it reads, of the demonstrations.
      fields: the other fields of its record.
    """

    def prune(kernel: Float[Array, "in out"], inputs: Inputs, budget: Budget) -> Pruned:
        if isinstance(start, Criterion):
            before = Pruned(budget.keep(kernel_scores(start, kernel, inputs)))
        else:
            before = start.prune(kernel, inputs, budget)
        groups = group_sizes(budget.pattern)
        return then(kernel, before, inputs, groups and groups[1])

    prepare = start.prepare if isinstance(start, Method) else None
    draws = "seed" in start.options  # for whole kernels
    decided = {
        "prune": prune,
        "needs": tuple(dict.fromkeys((*needs, *start.needs))),
        "options": ("seed",) if draws else (),
        "by_column": start.by_column and not draws,
        "updates_weights": start.updates_weights,
        "selects": start.selects,
        "prepare": prepare and _beside(prepare, [name for _, name in needs]),
    }
    return Method(**{**decided, **fields})


def _beside(prepare: Prepare, names: list[str]) -> Prepare:
    """The quantities of the other method, and these statistics as they are."""

    def prepare_both(
        stats: Mapping[str, Mapping[str, Any]], tokens: Mapping[str, Float[Array, ""]]
    ) -> Prepared:
        prepared, damping = prepare(stats, tokens)
        own = {name: stats[DEMONSTRATIONS][name] for name in names}
        return Prepared({DEMONSTRATIONS: {**own, **prepared[DEMONSTRATIONS]}}, damping)

    return prepare_both
