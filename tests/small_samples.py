"""Random samples for tiny models, whose vocabulary has 131 tokens."""

import numpy as np

from jaxprune.data.batches import Batch
from jaxprune.stats.grouping import group_by_length

TOKENS = np.random.default_rng(0).integers(0, 131, (4, 21))


def samples(lengths=(21, 21, 17, 12), codes=("fr", "sw", "fr", "sw")):
    """A monolingual set of two languages."""
    valid = np.arange(21) < np.array(lengths)[:, None]
    numbers = np.arange(len(lengths), dtype=np.int32)
    return [Batch((TOKENS * valid).astype(np.int32), valid, "monolingual", numbers, codes)]


def sequences(count=7, seed=0, low=5, high=25):
    """Samples of `low` to `high` - 1 tokens."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 131, n).astype(np.int32) for n in rng.integers(low, high, count)]


def one_shape(rows, role="translation", multiple=24, **how):
    """All samples in one batch, padded on the right to a multiple."""
    (batch,) = group_by_length(rows, role, max_shapes=1, multiple=multiple, **how)
    return batch
