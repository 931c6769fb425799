"""Counts and seconds of all blocks → sparsity, tokens and seconds for report.json."""

from collections.abc import Mapping, Sequence
from typing import Any

# The stages of a block, as in `PrunedBlock.seconds`.
STAGES = ("read", "statistics", "select", "forward", "recover")


def summarise(
    kept: Sequence[Mapping[str, tuple[int, int]]],
    seconds: Sequence[Mapping[str, float]],
    tokens: Mapping[str, int],
) -> dict[str, Any]:
    """Sparsity overall, by layer and by kernel, tokens by role and seconds by stage.

    Args:
      kept: `PrunedBlock.kept` of each layer.
      seconds: `PrunedBlock.seconds` of each layer.
      tokens: real tokens by role.
    """

    def sparsity(pairs: Sequence[tuple[int, int]]) -> float:
        return 1 - sum(part for part, _ in pairs) / sum(whole for _, whole in pairs)

    stages = {stage: sum(layer.get(stage, 0.0) for layer in seconds) for stage in STAGES}
    return {
        "sparsity": {
            "overall": sparsity([pair for layer in kept for pair in layer.values()]),
            "layers": [sparsity(list(layer.values())) for layer in kept],
            "kernels": {path: sparsity([layer[path] for layer in kept]) for path in kept[0]},
        },
        "tokens": dict(tokens),
        "seconds": {stage: round(total, 3) for stage, total in stages.items() if total},
    }
