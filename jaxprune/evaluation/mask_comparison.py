"""Checkpoints of two runs → the overlap of their kept weights."""

from pathlib import Path

from jaxprune.base.errors import InputError
from jaxprune.evaluation.comparison import MaskComparison
from jaxprune.hf.orbax_folder import restore_packed_masks
from jaxprune.models import masks


def compare_masks(base: Path, run: Path) -> MaskComparison | str | None:
    """The overlap of the masks of two workdirs, or why they are not compared; None if one has none, as a dense model.

    Raises:
      InputError: a checkpoint is damaged.
    """
    if not all((folder / "checkpoint").exists() for folder in (base, run)):
        return None
    packed = [restore_packed_masks(folder / "checkpoint") for folder in (base, run)]
    try:
        iou = masks.overlap(*packed)
    except InputError as error:
        return str(error)
    expected = sum(float(count.sum()) for count in packed[0].independent(packed[1]).values())
    union = sum(int(n.sum()) for one in packed for n in one.kept().values()) - expected
    return MaskComparison(
        overall=iou.overall,
        independent=expected / union if union else 1.0,
        layers=tuple(iou.layers),
        kernels={
            path.removeprefix("blocks/").removesuffix("/kernel"): share
            for path, share in iou.leaves.items()
        },
        density=(masks.density(packed[0]).overall, masks.density(packed[1]).overall),
    )
