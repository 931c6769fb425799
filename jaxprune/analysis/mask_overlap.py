"""Checkpoints of two runs → the overlap of their kept weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from jaxprune.hf.orbax_folder import restore_packed_masks
from jaxprune.models import masks


@dataclasses.dataclass(frozen=True)
class MaskOverlap:
    """Intersection over union of the kept weights of two runs.

    Attributes:
      overall: IoU of all weights.
      independent: expected IoU of independent masks with the densities of each kernel and layer.
      layers: IoU of each block.
      kernels: IoU by short name of the kernel.
    """

    overall: float
    independent: float
    layers: Sequence[float]
    kernels: Mapping[str, float]


def overlap_of_runs(first: Path, second: Path) -> MaskOverlap:
    """The overlap of the masks in the checkpoints of two workdirs.

    Raises:
      InputError: a checkpoint is damaged or missing, or the masks are of different models.
    """
    packed = [restore_packed_masks(folder / "checkpoint") for folder in (first, second)]
    iou = masks.overlap(*packed)
    expected = sum(float(count.sum()) for count in packed[0].independent(packed[1]).values())
    union = sum(int(n.sum()) for mask in packed for n in mask.kept().values()) - expected
    return MaskOverlap(
        overall=iou.overall,
        independent=expected / union if union else 1.0,
        layers=tuple(iou.layers),
        kernels={
            path.removeprefix("blocks/").removesuffix("/kernel"): share
            for path, share in iou.leaves.items()
        },
    )
