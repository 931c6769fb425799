"""Names for trees of parameters, nested by the names of modules; leaves are arrays, or shapes without memory."""

from collections.abc import Mapping
from typing import Any

from flax import nnx

# Of a whole model: {"embed", "blocks", "head"}; leaves of "blocks" are stacked, [L, …].
Params = Mapping[str, Any]
# Of one part of a model. Kernels of a block are [in, out]; the embedding has "tokens" [V, D].
EmbedParams = Mapping[str, Any]
BlockParams = Mapping[str, Any]
HeadParams = Mapping[str, Any]
# Of the pruned kernels alone: a subtree of Params, {"blocks": …}, with a bool (True = keep) or a float32 score for each
# weight, [L, in, out] or of one block [in, out].
MaskTree = Mapping[str, Any]
ScoreTree = Mapping[str, Any]
# A module without its parameters, and these as shapes.
AbstractModule = tuple[nnx.GraphDef, Mapping[str, Any]]
