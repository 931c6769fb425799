"""An annotated function → the same function, which checks types and shapes whenever it is called.

For jaxtyping's import hook. Dimensions of one name have to be equal within a call; a function whose annotations name
no array has none, and is checked by beartype alone, which takes less than half the time. A number of numpy will do
for one of Python, and an int for a float.
"""

import functools
import inspect
from typing import Any, get_args

import jaxtyping
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
_with_dimensions = jaxtyping.jaxtyped


def install(package):
    """From now on what is imported of a package is checked."""
    jaxtyping.jaxtyped = _jaxtyped  # what the hook puts before each function and class
    jaxtyping.install_import_hook(package, "typechecker.checked")


def checked(function):
    """The function with checks, without dimensions; a name that is there for type checkers only stands for anything."""
    for name, annotation in function.__annotations__.items():
        function.__annotations__[name] = _value(annotation, function)
    return _check(function)


def _jaxtyped(*, typechecker):
    """In place of jaxtyping's decorator: checks of a function are made at its first call, for a test calls a few.

    A function inside another one is made anew at each call of that; it has none.
    """

    def decorate(thing):
        if not inspect.isfunction(thing):
            return _with_dimensions(typechecker=typechecker)(thing)
        if not thing.__annotations__ or "<locals>" in thing.__qualname__:
            return thing

        @functools.cache
        def check():
            named = [_value(text, thing) for text in thing.__annotations__.values()]
            if any(map(_names_an_array, named)):
                return _with_dimensions(typechecker=typechecker)(thing)
            return checked(thing)

        @functools.wraps(thing)
        def call(*args, **kwargs):
            if jaxtyping.config.jaxtyping_disable:
                return thing(*args, **kwargs)
            return check()(*args, **kwargs)

        return call

    return decorate


def _value(annotation, function):
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, getattr(function, "__globals__", {}))
    except NameError:
        return Any


def _names_an_array(annotation):
    if inspect.isclass(annotation) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(map(_names_an_array, get_args(annotation)))
