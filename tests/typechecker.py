"""An annotated function → the same function, which checks types and shapes whenever it is called.

For jaxtyping's import hook: dimensions of one name have to be equal within a call.
"""

from typing import Any

from beartype import BeartypeConf, beartype

_check = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int will do for a float


def checked(function):
    """The function with checks; a name that is imported for type checkers only stands for anything."""
    annotations = getattr(function, "__annotations__", {})
    for name, annotation in annotations.items():
        if isinstance(annotation, str):  # jaxtyping could not find the name
            annotations[name] = Any
    return _check(function)
