"""The overlap of the masks of several runs, by layer and site.

Masks are compared as bits, so those of R runs take R bits a weight.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from jaxprune.errors import InputError
from jaxprune.files import short_names
from jaxprune.models import SITES
from jaxprune.pruning import PackedMasks
from jaxprune.runs import checkpoint


@dataclasses.dataclass(frozen=True)
class MaskOverlap:
    """Weights that two runs both keep; numbers add up over layers and sites.

    Attributes:
      runs: names of the R runs.
      both: int64 [R, R, L, site], sites in the order of `SITES`; the diagonal is what a run keeps.
      size: int64 [L, site], all weights.
    """

    runs: tuple[str, ...]
    both: Int[np.ndarray, "R R L 4"]
    size: Int[np.ndarray, "L 4"]

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """(0, 1), (0, 2), …, (1, 2), …: all pairs of runs."""
        return [(a, b) for a in range(len(self.runs)) for b in range(a + 1, len(self.runs))]


def iou(both: Int[np.ndarray, "R R *dims"]) -> Float[np.ndarray, "R R *dims"]:
    """Intersection over union of the kept weights, as `masks.overlap`; 1 where neither run keeps any."""
    kept = np.einsum("rr...->r...", both)
    return _share(both, kept[:, None] + kept - both)


def chance(
    both: Int[np.ndarray, "R R *dims"], size: Int[np.ndarray, "*dims"] | np.integer
) -> Float[np.ndarray, "R R *dims"]:
    """The IoU if each run kept as many, chosen at random: pq / (p + q - pq) of the shares p, q kept."""
    kept = np.einsum("rr...->r...", both) / size
    product = kept[:, None] * kept
    return _share(product, kept[:, None] + kept - product)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(whole.shape), where=whole > 0)


def read_runs(folders: Sequence[Path], sites: Mapping[str, str]) -> MaskOverlap:
    """Compares the masks that pruning runs left in `<folder>/checkpoint`, named by what tells their paths apart.

    Args:
      folders: two or more workdirs.
      sites: kernel path → site, of the model's family (`Family.sites`).

    Raises:
      InputError: fewer than two runs, one named twice, a folder without masks, or masks of
        different models.
    """
    resolved = [folder.resolve() for folder in folders]
    if len(resolved) < 2:
        raise InputError("analysis.masks: one run; allowed: two or more, with the workdir's own")
    if len(set(resolved)) < len(resolved):
        raise InputError("analysis.masks: a run is there twice; allowed: each once")
    runs = {}
    for name, folder in zip(short_names(resolved), folders, strict=True):
        if not folder.is_dir():
            raise InputError(f"analysis.masks: no folder {str(folder)!r}")
        runs[name] = checkpoint.restore_packed_masks(folder / "checkpoint")
    return compare(runs, sites)


def compare(runs: Mapping[str, PackedMasks], sites: Mapping[str, str]) -> MaskOverlap:
    """Counts what each pair of runs keeps.

    Raises:
      InputError: masks of different models, or of another family than `sites` is of.
    """
    first = next(iter(runs))
    shapes = {name: dict(run.shapes) for name, run in runs.items()}
    for other in runs:
        if shapes[other] != shapes[first] or not shapes[other].keys() <= sites.keys():
            raise InputError(
                f"analysis.masks: the masks of {other} do not fit the model or those of {first}; "
                "allowed: runs of the same model"
            )
    layers = next(iter(shapes[first].values()))[0]
    both = np.zeros((len(runs), len(runs), layers, len(SITES)), np.int64)
    size = np.zeros((layers, len(SITES)), np.int64)
    for path, shape in shapes[first].items():
        site = SITES.index(sites[path])
        size[:, site] += np.prod(shape[1:], dtype=np.int64)
        bits = [run.bits[path] for run in runs.values()]
        for a, ours in enumerate(bits):
            for b, theirs in enumerate(bits):
                both[a, b, :, site] += np.bitwise_count(ours & theirs).sum(-1, dtype=np.int64)
    return MaskOverlap(tuple(runs), both, size)
