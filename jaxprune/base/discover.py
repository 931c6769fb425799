"""Records that are found in the files of a package, such as criteria: to add one is to add a file."""

import importlib
import pkgutil
from collections.abc import Sequence
from types import ModuleType
from typing import Any


def discover(package: ModuleType, attribute: str) -> Sequence[Any]:
    """The values of `attribute` in the files of a package, in the order of the files' names."""
    modules = (
        importlib.import_module(f"{package.__name__}.{module_info.name}")
        for module_info in pkgutil.iter_modules(package.__path__)
    )
    return [getattr(module, attribute) for module in modules if hasattr(module, attribute)]
