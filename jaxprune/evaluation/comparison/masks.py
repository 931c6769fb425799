"""Checkpoints of two runs → the overlap of the weights that they keep."""

from __future__ import annotations

from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison.compare_json import NO_MASKS, MaskComparison, Sides
from jaxprune.pruning import masks
from jaxprune.runs import checkpoint


def compare_masks(run_a: Path, run_b: Path) -> tuple[MaskComparison | None, str | None]:
    """The overlap of two runs' masks, or None and why there is none.

    Raises:
      DamagedError: a checkpoint is there whose bytes are not those that were written.
    """
    has_masks = tuple((run / "checkpoint").exists() for run in (run_a, run_b))
    if not all(has_masks):  # as of a dense model
        return None, NO_MASKS[has_masks]
    try:
        folders = (run / "checkpoint" for run in (run_a, run_b))
        trees = [masks.unpack(checkpoint.restore_packed_masks(folder)) for folder in folders]
        iou = masks.overlap(*trees)
    except checkpoint.DamagedError:
        raise
    except InputError as error:
        return None, str(error)
    a, b = (masks.density(tree).overall for tree in trees)
    return MaskComparison(
        overall=iou.overall,
        independent=a * b / (a + b - a * b) if a + b else 1.0,
        layers=tuple(iou.layers),
        kernels=iou.leaves,
        density=Sides(a, b),
    ), None
