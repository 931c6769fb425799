"""A model's blocks and batches → sums of squares of every feature, one block on the devices at a time."""

from jaxprune.passes.blocks import DTYPE, blocks, prefetch, to_device
from jaxprune.passes.probe import ROWS, Samples, SiteSums, collect, probe, stack, start
from jaxprune.passes.stats import ActivationStats, sum_samples
from jaxprune.passes.walk import (
    HIDDEN,
    INPUT,
    OUTPUT,
    Context,
    MicroBatches,
    Segment,
    embed,
    embed_tokens,
    run_segment,
)

__all__ = [
    "DTYPE",
    "HIDDEN",
    "INPUT",
    "OUTPUT",
    "ROWS",
    "ActivationStats",
    "Context",
    "MicroBatches",
    "Samples",
    "Segment",
    "SiteSums",
    "blocks",
    "collect",
    "embed",
    "embed_tokens",
    "prefetch",
    "probe",
    "run_segment",
    "stack",
    "start",
    "sum_samples",
    "to_device",
]
