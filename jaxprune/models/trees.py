"""Names for trees of parameters, nested by the names of modules; leaves are arrays, or shapes without memory."""

from collections.abc import Mapping
from typing import Any

import jax
from flax import nnx

from jaxprune.base.errors import InputError

# A model: {"embed", "blocks", "head"}; leaves of "blocks" are stacked, [L, …].
Params = Mapping[str, Any]
# One part of a model. Kernels of a block are [in, out]; the embedding has "tokens" [V, D].
EmbedParams = Mapping[str, Any]
BlockParams = Mapping[str, Any]
HeadParams = Mapping[str, Any]
# A subtree of Params with the pruned kernels only, {"blocks": …}: a bool (True = keep) or a float32 score for each
# weight, [L, in, out], or [in, out] for one block.
MaskTree = Mapping[str, Any]
ScoreTree = Mapping[str, Any]
# A module without its parameters, and their shapes.
AbstractModule = tuple[nnx.GraphDef, Mapping[str, Any]]


def path_name(path: Any) -> str:
    """A leaf's path of JAX as one string, such as "blocks/mlp/up/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def named_leaves(argument: str, tree: Any) -> dict[str, Any]:
    """The arrays of a nested dict by their paths, in the order of its leaves.

    Args:
      argument: name of the tree, for messages.

    Raises:
      InputError: the tree is not a dict, or a leaf is not an array.
    """
    if not isinstance(tree, Mapping):
        raise InputError(f"{argument}: got {type(tree).__name__}; expected a nested dict of arrays")
    leaves = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
    for name, leaf in leaves.items():
        if not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
            raise InputError(f"{argument}: {name}: got {type(leaf).__name__}; expected an array")
    return leaves
