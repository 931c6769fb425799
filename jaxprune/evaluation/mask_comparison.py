"""Checkpoints of two runs → the overlap of their kept weights."""

from pathlib import Path

from jaxprune.errors import InputError
from jaxprune.evaluation.comparison import MaskComparison
from jaxprune.hf import restore_packed_masks
from jaxprune.models import masks


def compare_masks(base: Path, run: Path) -> MaskComparison | str:
    """The overlap of the masks of two workdirs, or the reason why it is not known.

    Raises:
      InputError: a checkpoint is damaged.
    """
    without = [folder for folder in (base, run) if not (folder / "checkpoint").exists()]
    if without:  # a dense model has none
        return f"no masks in {' and '.join(folder.name for folder in without)}"
    packed = [restore_packed_masks(folder / "checkpoint") for folder in (base, run)]
    try:
        iou = masks.overlap(*packed)
    except InputError as error:
        return f"masks not compared ({error})"
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
