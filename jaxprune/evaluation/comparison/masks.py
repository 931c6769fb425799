"""Checkpoints of two runs → the overlap of their kept weights."""

import math
from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import NO_MASKS, MaskComparison, Sides
from jaxprune.pruning import masks
from jaxprune.runs import checkpoint


def compare_masks(run_a: Path, run_b: Path) -> tuple[MaskComparison | None, str | None]:
    """The overlap of two runs' masks, or None and the reason.

    Raises:
      DamagedError: the bytes of a checkpoint changed after it was written.
    """
    has_masks = tuple((run / "checkpoint").exists() for run in (run_a, run_b))
    if not all(has_masks):  # a dense model has none
        return None, NO_MASKS[has_masks]
    try:
        folders = (run / "checkpoint" for run in (run_a, run_b))
        packed = [checkpoint.restore_packed_masks(folder) for folder in folders]
        iou = masks.overlap(*packed)
    except checkpoint.DamagedError:
        raise
    except InputError as error:
        return None, str(error)
    a, b = (run.kept() for run in packed)
    expected = sum(
        float((a[path] * b[path]).sum()) / math.prod(shape[-2:])
        for path, shape in packed[0].shapes.items()
    )
    union = sum(int(count.sum()) for one in (a, b) for count in one.values()) - expected
    return MaskComparison(
        overall=iou.overall,
        independent=expected / union if union else 1.0,
        layers=tuple(iou.layers),
        kernels=iou.leaves,
        density=Sides(*(masks.density(run).overall for run in packed)),
    ), None
