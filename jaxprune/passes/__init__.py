"""A model's blocks and batches → statistics of every site's features, one block on the devices at a time."""

from jaxprune.passes.blocks import DTYPE, blocks, converted, prefetch, to_device
from jaxprune.passes.probe import SAMPLES_PER_DEVICE, check_samples, probe, stack
from jaxprune.passes.running import order_of_sums
from jaxprune.passes.states import HALVES, CalibrationStates, calibration_states, run_and_measure
from jaxprune.passes.statistics import SQUARES, STATISTICS, Statistic
from jaxprune.passes.stats import ActivationStats, Sums, check_sums, combined, sum_samples
from jaxprune.passes.walk import (
    HIDDEN,
    INPUT,
    OUTPUT,
    WHOLE_BLOCK,
    Context,
    MicroBatches,
    Segment,
    embed,
    embed_tokens,
    rows_at_once,
    run_segment,
)

__all__ = [
    "DTYPE",
    "HALVES",
    "HIDDEN",
    "INPUT",
    "OUTPUT",
    "SAMPLES_PER_DEVICE",
    "SQUARES",
    "STATISTICS",
    "WHOLE_BLOCK",
    "ActivationStats",
    "CalibrationStates",
    "Context",
    "MicroBatches",
    "Segment",
    "Statistic",
    "Sums",
    "blocks",
    "calibration_states",
    "check_samples",
    "check_sums",
    "combined",
    "converted",
    "embed",
    "embed_tokens",
    "order_of_sums",
    "prefetch",
    "probe",
    "rows_at_once",
    "run_and_measure",
    "run_segment",
    "stack",
    "sum_samples",
    "to_device",
]
