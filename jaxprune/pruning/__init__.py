"""A model and statistics of its inputs → masks, changed weights and pruned blocks."""

from jaxprune.pruning.allocations import ALLOCATIONS as ALLOCATIONS
from jaxprune.pruning.allocations import UNIFORM as UNIFORM
from jaxprune.pruning.allocations import Allocation as Allocation
from jaxprune.pruning.criteria import CRITERIA as CRITERIA
from jaxprune.pruning.criterion import CODE as CODE
from jaxprune.pruning.criterion import Criterion as Criterion
from jaxprune.pruning.digests import hash_changed as hash_changed
from jaxprune.pruning.digests import hash_masks as hash_masks
from jaxprune.pruning.digests import hash_weights as hash_weights
from jaxprune.pruning.drop import ROW as ROW
from jaxprune.pruning.drop import UNSTRUCTURED as UNSTRUCTURED
from jaxprune.pruning.finished import FinishedLayer as FinishedLayer
from jaxprune.pruning.finished import PrunedBlock as PrunedBlock
from jaxprune.pruning.loop import PruneResult as PruneResult
from jaxprune.pruning.loop import prune as prune
from jaxprune.pruning.loop import prune_blocks as prune_blocks
from jaxprune.pruning.method import Method as Method
from jaxprune.pruning.method import Pruned as Pruned
from jaxprune.pruning.methods import METHODS as METHODS
from jaxprune.pruning.overlay import overlaid as overlaid
from jaxprune.pruning.packed import PackedMasks as PackedMasks
from jaxprune.pruning.propagation import PROPAGATIONS as PROPAGATIONS
from jaxprune.pruning.settings import PruningFields as PruningFields
from jaxprune.pruning.settings import Settings as Settings
from jaxprune.pruning.summary import summarise as summarise
