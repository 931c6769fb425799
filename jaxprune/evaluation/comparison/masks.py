"""Checkpoints of two runs → the overlap of their kept weights."""

from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import NO_MASKS, MaskComparison, Sides
from jaxprune.pruning import masks
from jaxprune.runs import checkpoint


def compare_masks(run_a: Path, run_b: Path) -> tuple[MaskComparison | None, str | None]:
    """The overlap of two runs' masks, or None and the reason.

    Raises:
      InputError: a checkpoint is damaged.
    """
    has_masks = tuple((run / "checkpoint").exists() for run in (run_a, run_b))
    if not all(has_masks):  # a dense model has none
        return None, NO_MASKS[has_masks]
    packed = [checkpoint.restore_packed_masks(run / "checkpoint") for run in (run_a, run_b)]
    try:
        iou = masks.overlap(*packed)
    except InputError as error:
        return None, str(error)
    expected = sum(float(count.sum()) for count in packed[0].independent(packed[1]).values())
    union = sum(int(n.sum()) for one in packed for n in one.kept().values()) - expected
    return MaskComparison(
        overall=iou.overall,
        independent=expected / union if union else 1.0,
        layers=tuple(iou.layers),
        kernels=iou.leaves,
        density=Sides(*(masks.density(run).overall for run in packed)),
    ), None
