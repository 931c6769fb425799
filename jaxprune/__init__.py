"""Prune multilingual language models for non-English tasks, in JAX.

model = jaxprune.load("bigscience/bloom-560m")
batches = jaxprune.demonstrations(model.tokenizer, data, source="fr", target="en")
result = jaxprune.prune(model, batches, sparsity=0.3)
jaxprune.export_hf(model, result.params, "pruned")
"""

from jaxprune import checkpoint, masks, scores
from jaxprune.batching import Batch
from jaxprune.demonstrations import demonstrations, token_batches
from jaxprune.errors import InputError
from jaxprune.export import export_hf
from jaxprune.model import Model, load
from jaxprune.models import ModelConfig
from jaxprune.probe import probe
from jaxprune.prune import PruneResult, prune, prune_blocks
from jaxprune.stats import ActivationStats
from jaxprune.version import __version__

__all__ = [
    "ActivationStats",
    "Batch",
    "InputError",
    "Model",
    "ModelConfig",
    "PruneResult",
    "__version__",
    "checkpoint",
    "demonstrations",
    "export_hf",
    "load",
    "masks",
    "probe",
    "prune",
    "prune_blocks",
    "scores",
    "token_batches",
]
