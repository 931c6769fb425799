"""Samples for tests of smaller models, and the blocks of torch models."""

import numpy as np
import torch

from jaxprune.data.batches import Batch

TOKENS = np.random.default_rng(0).integers(0, 131, (4, 21))


def layers_of(model):
    """The list of a torch model's blocks."""
    return next(part for part in model.modules() if isinstance(part, torch.nn.ModuleList))


def samples(lengths=(21, 21, 17, 12), codes=("fr", "sw", "fr", "sw")):
    valid = np.arange(21) < np.array(lengths)[:, None]
    numbers = np.arange(len(lengths), dtype=np.int32)
    return [Batch((TOKENS * valid).astype(np.int32), valid, "monolingual", numbers, codes)]
