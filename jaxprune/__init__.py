"""Prune multilingual language models for non-English tasks, in JAX.

model = jaxprune.load("bigscience/bloom-560m")
batches = jaxprune.demonstrations(model.tokenizer, data, source="fr", target="en")
result = jaxprune.prune(model, batches, sparsity=0.3)
jaxprune.export_hf(model, result.params, "pruned")
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from jaxprune.errors import InputError as InputError
from jaxprune.version import __version__ as __version__

# Subpackages → their public names, each imported at its first use. A script can therefore handle errors before JAX is
# imported, which may fail, and loading a model does not import the subpackages that evaluate one.
_OFFERED = {
    "calibration": ("Batch", "demonstrations", "token_batches"),
    "evaluation.in_memory": ("compare", "evaluate"),
    "hf": ("Model", "export_hf", "load"),
    "models": ("ModelConfig", "forward"),
    "passes": ("ActivationStats",),
    "passes.probe": ("probe",),
    "pruning": (
        "Allocation", "Criterion", "Method", "PruneResult", "Pruned", "Settings",
        "masks", "prune", "prune_blocks", "scores",
    ),
    "runs": ("checkpoint",),
    "sweeps.run": ("sweep",),
}  # fmt: skip
_MODULES = {name: module for module, names in _OFFERED.items() for name in names}
__all__ = ["InputError", "__version__", *_MODULES]

if TYPE_CHECKING:  # the same for type checkers; a test compares the two
    from jaxprune.calibration import Batch as Batch
    from jaxprune.calibration import demonstrations as demonstrations
    from jaxprune.calibration import token_batches as token_batches
    from jaxprune.evaluation.in_memory import compare as compare
    from jaxprune.evaluation.in_memory import evaluate as evaluate
    from jaxprune.hf import Model as Model
    from jaxprune.hf import export_hf as export_hf
    from jaxprune.hf import load as load
    from jaxprune.models import ModelConfig as ModelConfig
    from jaxprune.models import forward as forward
    from jaxprune.passes import ActivationStats as ActivationStats
    from jaxprune.passes.probe import probe as probe
    from jaxprune.pruning import Allocation as Allocation
    from jaxprune.pruning import Criterion as Criterion
    from jaxprune.pruning import Method as Method
    from jaxprune.pruning import Pruned as Pruned
    from jaxprune.pruning import PruneResult as PruneResult
    from jaxprune.pruning import Settings as Settings
    from jaxprune.pruning import masks as masks
    from jaxprune.pruning import prune as prune
    from jaxprune.pruning import prune_blocks as prune_blocks
    from jaxprune.pruning import scores as scores
    from jaxprune.runs import checkpoint as checkpoint
    from jaxprune.sweeps.run import sweep as sweep
else:

    def __getattr__(name: str) -> Any:
        if name in _MODULES:
            module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
            globals()[name] = getattr(module, name)
            return globals()[name]
        # a subpackage; Python and its tools look up many names with underscores
        if not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}"):
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
