"""What `import jaxprune` offers, by the names of the rooms that it comes from."""

from typing import TYPE_CHECKING, Any

from jaxprune.calibration import Batch, demonstrations, token_batches
from jaxprune.errors import InputError
from jaxprune.hf import Model, export_hf, load
from jaxprune.models import ModelConfig, forward
from jaxprune.passes import ActivationStats, probe
from jaxprune.pruning import (
    Criterion,
    PruneResult,
    Settings,
    masks,
    prune,
    prune_blocks,
    scores,
)
from jaxprune.runs import checkpoint
from jaxprune.version import __version__

if TYPE_CHECKING:
    from jaxprune.evaluation.in_memory import compare, evaluate

__all__ = [
    "ActivationStats",
    "Batch",
    "Criterion",
    "InputError",
    "Model",
    "ModelConfig",
    "PruneResult",
    "Settings",
    "__version__",
    "checkpoint",
    "compare",
    "demonstrations",
    "evaluate",
    "export_hf",
    "forward",
    "load",
    "masks",
    "probe",
    "prune",
    "prune_blocks",
    "scores",
    "token_batches",
]


def __getattr__(name: str) -> Any:
    """What is imported when it is asked for: most programs evaluate nothing, and its rooms are half of all."""
    if name in ("compare", "evaluate"):
        from jaxprune.evaluation import in_memory

        return getattr(in_memory, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
