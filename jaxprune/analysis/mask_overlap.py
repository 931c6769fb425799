"""The overlap of the masks of several runs, by layer and site.

Masks are compared as packed bits: those of R runs take R bits per weight.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxprune.base.errors import InputError
from jaxprune.base.files.whole import short_names
from jaxprune.hf.orbax_folder import restore_packed_masks
from jaxprune.models.block import SITES
from jaxprune.models.packed_masks import PackedMasks


@dataclasses.dataclass(frozen=True)
class MaskOverlap:
    """Numbers of weights that two runs both keep; they can be summed over layers and sites.

    Attributes:
      runs: names of the R runs.
      both: int64 [R, R, L, site], sites in the order of `SITES`; the diagonal counts the weights that a run keeps.
      expected: float64 [R, R, L, site], of which `both` is expected for independent masks with the densities of each
        kernel and layer.
    """

    runs: tuple[str, ...]
    both: Int[np.ndarray, "R R L 4"]
    expected: Float[np.ndarray, "R R L 4"]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(0, 1), (0, 2), …, (1, 2), …: all pairs of runs."""
        return [(a, b) for a in range(len(self.runs)) for b in range(a + 1, len(self.runs))]


def iou(both: Int[np.ndarray, "R R *dims"]) -> Float[np.ndarray, "R R *dims"]:
    """Intersection over union of the kept weights, as `masks.overlap`; 1 if neither run keeps any."""
    return _share(both, both)


def chance(
    both: Int[np.ndarray, "R R *dims"], expected: Float[np.ndarray, "R R *dims"]
) -> Float[np.ndarray, "R R *dims"]:
    """The IoU of independent masks; see `MaskOverlap`."""
    return _share(both, expected)


def _share(both: np.ndarray, part: np.ndarray) -> np.ndarray:
    kept = np.einsum("rr...->r...", both)
    whole = kept[:, None] + kept - part
    return np.divide(part, whole, out=np.ones(whole.shape), where=whole > 0)


def read_runs(folders: Sequence[Path], sites: Mapping[str, str]) -> MaskOverlap:
    """Compares the masks in `<folder>/checkpoint` of pruning runs, named by the distinct parts of their paths.

    Args:
      folders: two or more workdirs.
      sites: kernel path → site, of the model's family (`Family.sites`).

    Raises:
      InputError: fewer than two runs, a run given twice, a folder without masks, or masks of
        different models.
    """
    resolved = [folder.resolve() for folder in folders]
    if len(resolved) < 2:
        raise InputError("analysis.masks: one run; allowed: two or more, including the workdir")
    if len(set(resolved)) < len(resolved):
        raise InputError("analysis.masks: a run is given twice; allowed: each once")
    runs = {}
    for name, folder in zip(short_names(resolved), folders, strict=True):
        if not folder.is_dir():
            raise InputError(f"analysis.masks: no folder {str(folder)!r}")
        runs[name] = restore_packed_masks(folder / "checkpoint")
    return compare(runs, sites)


def compare(runs: Mapping[str, PackedMasks], sites: Mapping[str, str]) -> MaskOverlap:
    """Counts the weights that both runs of each pair keep.

    Raises:
      InputError: masks of different models, or of another family than that of `sites`.
    """
    first, shapes = next((name, run.shapes) for name, run in runs.items())
    for other, run in runs.items():
        if run.shapes != shapes or not shapes.keys() <= sites.keys():
            raise InputError(
                f"analysis.masks: the masks of {other} do not fit the model or those of {first}; "
                "allowed: runs of the same model"
            )
    layers = next(iter(shapes.values()))[0]
    both = np.zeros((len(runs), len(runs), layers, len(SITES)), np.int64)
    expected = np.zeros(both.shape)
    for a, ours in enumerate(runs.values()):
        for b, theirs in enumerate(runs.values()):
            independent = ours.independent(theirs)
            for path, count in ours.intersect(theirs).kept().items():
                site = SITES.index(sites[path])
                both[a, b, :, site] += count
                expected[a, b, :, site] += independent[path]
    return MaskOverlap(tuple(runs), both, expected)
