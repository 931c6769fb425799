"""The result of pruning or recovery, in memory."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from jaxprune.base.text import NotebookTable, Table, percent
from jaxprune.data.batches import Batch, by_kind, set_tokens
from jaxprune.hf.model import Model
from jaxprune.hf.weights import stack_layers
from jaxprune.models.trees import MaskTree, Params
from jaxprune.pruning.summary import seconds_by_stage, sparsity_of
from jaxprune.stats.finished import PrunedBlock
from jaxprune.stats.stats import ActivationStats


@dataclasses.dataclass(frozen=True, repr=False)
class PruneResult(NotebookTable):
    """The result of `prune` or `recover`, in memory.

    Attributes:
      params: parallel to `model.params`, on the host, dropped weights +0.
      masks: {"blocks": {… kernel: bool [L, in, out]}}.
      stats: the statistics of the calibration set, or None; None after `recover`.
      report: sparsity, tokens and seconds by stage; after `recover` also `losses`, [before, after] of each fit of
        blocks, or once of the whole model with how="distil".
    """

    params: Params
    masks: MaskTree
    stats: ActivationStats | None
    report: dict[str, Any]

    def _shown(self) -> tuple[str, list[Table]]:
        sparsity = self.report["sparsity"]
        rows = [[name, percent(share)] for name, share in sparsity["kernels"].items()]
        caption = f"{percent(sparsity['overall'])}% of the weights in kernels of the blocks are 0"
        tables = [Table("", ["kernel", "dropped, %"], rows)]
        if losses := self.report.get("losses"):
            names = [str(block) for block in range(len(losses))] if len(losses) > 1 else ["all"]
            lost = [
                [name, *(f"{loss:.3g}" for loss in pair)]
                for name, pair in zip(names, losses, strict=True)
            ]
            title = "Loss on held-out samples, by recovery"
            blocks = len(jax.tree.leaves(self.masks["blocks"])[0])
            number = "window" if 1 < len(losses) < blocks else "block"
            tables.append(Table(title, [number, "before", "after"], lost))
        return caption, tables


def stacked_result(
    model: Model, blocks: Sequence[PrunedBlock], batches: Sequence[Batch]
) -> PruneResult:
    """The result of all blocks of a model, stacked, without statistics.

    Args:
      batches: the samples that were used, whose tokens are reported.
    """
    keep = {path: np.stack([block.keep[path] for block in blocks]) for path in blocks[0].keep}
    stacked = stack_layers([block.params for block in blocks])
    report = {
        "sparsity": sparsity_of([block.kept for block in blocks]),
        "tokens": by_kind(set_tokens(batches)),
        "seconds": seconds_by_stage([block.seconds for block in blocks]),
    }
    return PruneResult(
        params={"embed": model.part("embed"), "blocks": stacked, "head": model.part("head")},
        masks={"blocks": unflatten_dict(keep, sep="/")},
        stats=None,
        report=report,
    )
