"""A model and its feature norms → scores, keep masks and pruned blocks."""

from jaxprune.pruning.block_masks import select_block, zero_dropped
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import CODE
from jaxprune.pruning.loop import Done, PrunedBlock, PruneResult, prune, prune_blocks
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import FIELDS, Selection, Settings
from jaxprune.pruning.summary import summarise

__all__ = [
    "CODE",
    "CRITERIA",
    "FIELDS",
    "PROPAGATIONS",
    "Done",
    "PruneResult",
    "PrunedBlock",
    "Selection",
    "Settings",
    "prune",
    "prune_blocks",
    "select_block",
    "summarise",
    "zero_dropped",
]
