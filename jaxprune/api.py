"""What `import jaxprune` offers, by the names of the rooms that it comes from."""

from jaxprune.calibration import Batch, demonstrations, token_batches
from jaxprune.errors import InputError
from jaxprune.evaluation.in_memory import compare, evaluate
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
