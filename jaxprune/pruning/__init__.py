"""A model and statistics of its inputs → masks, changed weights and pruned blocks."""

from jaxprune.pruning.allocations import ALLOCATIONS, UNIFORM, Allocation
from jaxprune.pruning.block import prune_compiled
from jaxprune.pruning.criteria import CRITERIA
from jaxprune.pruning.criterion import CODE, Criterion
from jaxprune.pruning.digests import hash_changed, hash_masks, hash_weights
from jaxprune.pruning.finished import FinishedLayer, PrunedBlock
from jaxprune.pruning.loop import PruneResult, prune, prune_blocks
from jaxprune.pruning.method import Method, Pruned
from jaxprune.pruning.methods import METHODS
from jaxprune.pruning.overlay import overlaid
from jaxprune.pruning.packed import PackedMasks
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import PruningFields, Settings
from jaxprune.pruning.summary import summarise

__all__ = [
    "ALLOCATIONS",
    "CODE",
    "CRITERIA",
    "METHODS",
    "PROPAGATIONS",
    "UNIFORM",
    "Allocation",
    "Criterion",
    "FinishedLayer",
    "Method",
    "PackedMasks",
    "PruneResult",
    "Pruned",
    "PrunedBlock",
    "PruningFields",
    "Settings",
    "hash_changed",
    "hash_masks",
    "hash_weights",
    "overlaid",
    "prune",
    "prune_blocks",
    "prune_compiled",
    "summarise",
]
