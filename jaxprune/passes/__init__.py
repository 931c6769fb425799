"""A model's blocks and batches → sums of squares of every feature, one block on the devices at a time."""

from jaxprune.passes.blocks import DTYPE, blocks, converted, prefetch, to_device
from jaxprune.passes.probe import (
    HALVES,
    SAMPLES_PER_DEVICE,
    CalibrationStates,
    SiteSums,
    calibration_states,
    check_samples,
    probe,
    run_and_measure,
    stack,
)
from jaxprune.passes.stats import ActivationStats, check_sums, sum_samples
from jaxprune.passes.walk import (
    HIDDEN,
    INPUT,
    OUTPUT,
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
    "ActivationStats",
    "CalibrationStates",
    "Context",
    "MicroBatches",
    "Segment",
    "SiteSums",
    "blocks",
    "calibration_states",
    "check_samples",
    "check_sums",
    "converted",
    "embed",
    "embed_tokens",
    "prefetch",
    "probe",
    "rows_at_once",
    "run_and_measure",
    "run_segment",
    "stack",
    "sum_samples",
    "to_device",
]
