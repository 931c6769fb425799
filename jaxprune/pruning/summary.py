"""Counts and seconds of all blocks → sparsity and seconds for report.json."""

from collections.abc import Mapping, Sequence
from typing import Any

# The stages of a block, as in `PrunedBlock.seconds`.
STAGES = ("read", "statistics", "select", "forward", "recover")


def sparsity_of(kept: Sequence[Mapping[str, tuple[int, int]]]) -> dict[str, Any]:
    """The share of weights that are dropped: `overall`, by layer in `layers`, and by path in `kernels`.

    Args:
      kept: `PrunedBlock.kept` of each layer.
    """

    def dropped(pairs: Sequence[tuple[int, int]]) -> float:
        return 1 - sum(part for part, _ in pairs) / sum(whole for _, whole in pairs)

    return {
        "overall": dropped([pair for layer in kept for pair in layer.values()]),
        "layers": [dropped(list(layer.values())) for layer in kept],
        "kernels": {path: dropped([layer[path] for layer in kept]) for path in kept[0]},
    }


def seconds_by_stage(seconds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The seconds of all layers in each stage, rounded to milliseconds, without stages that took none.

    Args:
      seconds: `PrunedBlock.seconds` of each layer.
    """
    stages = {stage: sum(layer.get(stage, 0.0) for layer in seconds) for stage in STAGES}
    return {stage: round(total, 3) for stage, total in stages.items() if total}
