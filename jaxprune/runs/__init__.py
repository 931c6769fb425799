"""A config → a workdir: a whole pruning run, what it writes, how it goes on after a stop, and how it is read back."""

from jaxprune.runs.card import Measured, model_card
from jaxprune.runs.identity import difference
from jaxprune.runs.pipeline import calibration_batches, prune_from_config, prune_to_workdir
from jaxprune.runs.recard import has_card, replace_card
from jaxprune.runs.records import Asked, Report, RunConfig, Sparsity
from jaxprune.runs.report import environment, peak_memory
from jaxprune.runs.resume import OUTPUTS
from jaxprune.runs.verify import verify
from jaxprune.runs.workdir import (
    MODEL_DIGEST,
    REPORT,
    check_scored_model,
    check_workdir,
    is_complete,
    masked_digest,
    read_report,
    read_scored,
)

__all__ = [
    "MODEL_DIGEST",
    "OUTPUTS",
    "REPORT",
    "Asked",
    "Measured",
    "Report",
    "RunConfig",
    "Sparsity",
    "calibration_batches",
    "check_scored_model",
    "check_workdir",
    "difference",
    "environment",
    "has_card",
    "is_complete",
    "masked_digest",
    "model_card",
    "peak_memory",
    "prune_from_config",
    "prune_to_workdir",
    "read_report",
    "read_scored",
    "replace_card",
    "verify",
]
