"""A config → a workdir: a whole pruning run, what it writes, how it goes on after a stop, and how it is read back."""

from jaxprune.runs.card import Measured, model_card
from jaxprune.runs.environment import environment, peak_memory
from jaxprune.runs.outputs import OUTPUTS
from jaxprune.runs.pipeline import calibration_batches, prune_from_config, prune_to_workdir
from jaxprune.runs.pruned_model import pruned_model
from jaxprune.runs.verify import verify

__all__ = [
    "OUTPUTS",
    "Measured",
    "calibration_batches",
    "environment",
    "model_card",
    "peak_memory",
    "prune_from_config",
    "prune_to_workdir",
    "pruned_model",
    "verify",
]
