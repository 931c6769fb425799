"""Methods: kernels and statistics of their inputs → pruned kernels. They include all criteria.

Each file here declares a `Method` as METHOD.
"""

import dataclasses
import sys
from collections.abc import Mapping

from jaxprune.declared import declared
from jaxprune.errors import refusal
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import Criterion, Function, of_function
from jaxprune.pruning.method import Method

METHODS: Mapping[str, Method | Criterion] = {
    **CRITERIA,
    **{method.name: method for method in declared(sys.modules[__name__], "METHOD")},
}


def method_of(chosen: str | Method | Criterion | Function) -> Method | Criterion:
    """The method of a name, a record, or a function of (kernel, norm).

    A custom one gets a new record each time, so no earlier compiled program is used for it: the values that the
    function closes over may have changed.

    Raises:
      InputError: an unknown name, or a function of other arguments.
    """
    if isinstance(chosen, Criterion):
        score = chosen.score
        return dataclasses.replace(chosen, score=lambda *given: score(*given))
    if isinstance(chosen, Method):
        prune = chosen.prune
        return dataclasses.replace(chosen, prune=lambda *given: prune(*given))
    if callable(chosen):
        return of_function(chosen)
    if not (isinstance(chosen, str) and chosen in METHODS):
        allowed = ", ".join((*METHODS, "or in Python a function of (kernel, norm)"))
        raise refusal("criterion", chosen, allowed, choices=METHODS)
    return METHODS[chosen]
