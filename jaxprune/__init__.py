"""Prune multilingual language models for non-English tasks, in JAX.

model = jaxprune.load("bigscience/bloom-560m")
batches = jaxprune.demonstrations(model.tokenizer, data, source="fr", target="en")
result = jaxprune.prune(model, batches, sparsity=0.3)
jaxprune.export_hf(model, result.params, "pruned")
"""

import ast
import functools
import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxprune.api import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """A room of this name, or what `api` offers by it: its room is imported when the name is first asked for.

    So what a script begins with (`jaxprune.process`) is there before JAX, whose import may fail, and who loads a model
    does not wait for the rooms that evaluate one.
    """
    is_special = name.startswith("__")  # Python and its tools ask modules for many
    if not is_special and importlib.util.find_spec(f"{__name__}.{name}"):
        return importlib.import_module(f"{__name__}.{name}")
    if not is_special or name in ("__all__", "__version__"):
        room = importlib.import_module(_rooms().get(name, "jaxprune.api"))
        if hasattr(room, name):
            globals()[name] = getattr(room, name)
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})


@functools.cache
def _rooms() -> dict[str, str]:
    """Name → the room that `api` imports it from, read as text: to import `api` is to import all rooms."""
    text = Path(__file__).with_name("api.py").read_text(encoding="utf-8")
    imports = (node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom))
    return {
        alias.asname or alias.name: node.module or "" for node in imports for alias in node.names
    }
