"""Prune multilingual language models for non-English tasks, in JAX.

model = jaxprune.load("bigscience/bloom-560m")
batches = jaxprune.demonstrations(model.tokenizer, data, source="fr", target="en")
result = jaxprune.prune(model, batches, sparsity=0.3)
jaxprune.export_hf(model, result.params, "pruned")
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxprune.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """A room of this name, or what `api` has by it, which is imported when the first name is asked for.

    So what a script begins with (`jaxprune.process`) is there before JAX, whose import may fail.
    """
    is_special = name.startswith("__")  # Python and its tools ask modules for many
    if not is_special and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    if not is_special or name in ("__all__", "__version__"):
        api = importlib.import_module("jaxprune.api")
        if hasattr(api, name):
            globals()[name] = getattr(api, name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
