"""Methods: kernels and statistics of their inputs → pruned kernels. They include all criteria.

Each file here declares a `Method` as METHOD.
"""

import dataclasses
import functools
import sys
from collections.abc import Mapping

from jaxprune.base.discover import discover
from jaxprune.base.errors import InputError, invalid_value
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import Criterion, Function, function_criterion
from jaxprune.pruning.method import Method

_DECLARED = sorted(discover(sys.modules[__name__], "METHOD"), key=lambda method: str(method.name))
METHODS: Mapping[str, Method | Criterion] = {**CRITERIA, **{m.name: m for m in _DECLARED}}

# A method by name, as its record, or as a function of (kernel, norm).
MethodLike = str | Method | Criterion | Function
# Methods whose mask another one may begin with.
STARTS = tuple(name for name, method in METHODS.items() if getattr(method, "on", None) is None)


def method_of(chosen: MethodLike, start: str | None = None) -> Method | Criterion:
    """The method of a name, a record, or a function of (kernel, norm).

    Args:
      start: the method whose mask it begins with, a name in `STARTS`; for methods with `Method.on` only.

    A custom one is copied each time and thus compiled anew: values that its functions close over may have changed.

    Raises:
      InputError: an unknown name, a function of other arguments, or a start for a method without one.
    """
    if start is not None:
        base = METHODS.get(chosen) if isinstance(chosen, str) else None
        if not (isinstance(base, Method) and base.on):
            able = [name for name in METHODS if name not in STARTS]
            raise InputError(f"start: got {start!r}; expected with criterion {' or '.join(able)}")
        if start not in STARTS:
            raise invalid_value("start", start, STARTS)
        return base.on(METHODS[start])
    if isinstance(chosen, Criterion):
        return dataclasses.replace(chosen, score=functools.partial(chosen.score))
    if isinstance(chosen, Method):
        prepare = chosen.prepare and functools.partial(chosen.prepare)
        return dataclasses.replace(chosen, prune=functools.partial(chosen.prune), prepare=prepare)
    if callable(chosen):
        return function_criterion(chosen)
    if not (isinstance(chosen, str) and chosen in METHODS):
        allowed = ", ".join((*METHODS, "or in Python a function of (kernel, norm)"))
        raise invalid_value("criterion", chosen, allowed, choices=METHODS)
    return METHODS[chosen]
