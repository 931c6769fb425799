"""Shares of the weights of a mask tree, which `masks.density` and `masks.overlap` return."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jaxprune.base.text import NotebookTable, Table, percent


@dataclass(frozen=True, repr=False)
class Shares(NotebookTable):
    """Shares in [0, 1] of the weights that a mask tree covers.

    Attributes:
        leaves: share by path, over all layers of the leaf.
        layers: share by layer, over all leaves; one entry if the leaves are of a single block.
        overall: share over all leaves.
    """

    leaves: dict[str, float]
    layers: tuple[float, ...]
    overall: float

    @classmethod
    def of(cls, part: Mapping[str, np.ndarray], whole: Mapping[str, np.ndarray]) -> "Shares":
        """Quotients of counts by path, each [L]; 1 for 0/0."""

        def share(part: np.ndarray, whole: np.ndarray) -> float:
            return float(part.sum() / whole.sum()) if whole.sum() else 1.0

        parts, wholes = (np.array(list(c.values()), ndmin=2) for c in (part, whole))  # [paths, L]
        return cls(
            leaves={path: share(part[path], whole[path]) for path in part},
            layers=tuple(share(p, w) for p, w in zip(parts.T, wholes.T, strict=True)),
            overall=share(parts, wholes),
        )

    def _shown(self) -> tuple[str, list[Table]]:
        rows = [[path, percent(share)] for path, share in self.leaves.items()]
        return f"{percent(self.overall)}% of the weights", [Table("", ["kernel", "%"], rows)]
