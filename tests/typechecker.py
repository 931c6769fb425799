"""An annotated function → the same function, which checks types and shapes whenever it is called.

For jaxtyping's import hook: dimensions of one name have to be equal within a call. A number of numpy will do for one of
Python, and an int for a float.
"""

import functools
from typing import Any

import numpy as np
from beartype import BeartypeConf, BeartypeHintOverrides, beartype

_NUMBERS = BeartypeHintOverrides(
    {
        int: int | np.integer,
        float: float | int | np.floating | np.integer,
        bool: bool | np.bool_,
    }
)
_check = beartype(conf=BeartypeConf(hint_overrides=_NUMBERS))


def checked(function):
    """The function with checks; a name that is imported for type checkers only stands for anything.

    They are made at its first call: of the package's functions a test calls a few.
    """
    check = functools.cache(functools.partial(_check_of, function))

    @functools.wraps(function)
    def call(*args, **kwargs):
        return check()(*args, **kwargs)

    return call


def _check_of(function):
    annotations = getattr(function, "__annotations__", {})
    for name, annotation in annotations.items():
        if isinstance(annotation, str):  # jaxtyping could not find the name
            annotations[name] = Any
    return _check(function)
