"""A model and its feature norms → scores, keep masks and pruned blocks."""

from jaxprune.pruning.block_masks import select_block
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import CODE, Criterion
from jaxprune.pruning.digests import hash_masks, hash_weights
from jaxprune.pruning.loop import FinishedLayer, PrunedBlock, PruneResult, prune, prune_blocks
from jaxprune.pruning.masked import under_masks
from jaxprune.pruning.packed import PackedMasks
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import PruningFields, Selection, Settings
from jaxprune.pruning.summary import summarise

__all__ = [
    "CODE",
    "CRITERIA",
    "PROPAGATIONS",
    "Criterion",
    "FinishedLayer",
    "PackedMasks",
    "PruneResult",
    "PrunedBlock",
    "PruningFields",
    "Selection",
    "Settings",
    "hash_masks",
    "hash_weights",
    "prune",
    "prune_blocks",
    "select_block",
    "summarise",
    "under_masks",
]
