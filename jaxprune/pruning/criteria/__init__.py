"""Kernels and the norms of their inputs → scores. A file each, which declares a `Criterion` as CRITERION."""

import dataclasses
import sys
from collections.abc import Mapping

from jaxprune.declared import declared
from jaxprune.errors import refusal
from jaxprune.pruning.criterion import Criterion, Function, of_function

# In the order of lists: those that measure a calibration set first, the simplest before the others.
CRITERIA: Mapping[str, Criterion] = {
    criterion.name: criterion
    for criterion in sorted(
        declared(sys.modules[__name__], "CRITERION"),
        key=lambda one: (not one.measures, len(one.measures), one.name),
    )
}


def criterion_of(chosen: str | Criterion | Function) -> Criterion:
    """The record of a criterion that is told by its name, as a record, or as a function of (kernel, norm).

    A user's own gets a record of its own each time, so that nothing is taken for it that was compiled before: what the
    function looks up may have changed.

    Raises:
      InputError: there is no such criterion, or a function of other arguments.
    """
    if isinstance(chosen, Criterion):
        score = chosen.score
        return dataclasses.replace(chosen, score=lambda kernel, inputs: score(kernel, inputs))
    if callable(chosen):
        return of_function(chosen)
    if not (isinstance(chosen, str) and chosen in CRITERIA):
        allowed = ", ".join((*CRITERIA, "or in Python a function of (kernel, norm)"))
        raise refusal("criterion", chosen, allowed, choices=CRITERIA)
    return CRITERIA[chosen]


__all__ = ["CRITERIA", "criterion_of"]
