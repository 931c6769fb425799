"""Records that files declare: what there may be more of is a record in a file of its own, which nothing else names."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def declared(package: ModuleType, attribute: str) -> Sequence[Any]:
    """What the files of a package call `attribute`, in the order of the files' names."""
    modules = (
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    )
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
