"""Keep masks: selection from scores, algebra, application to parameters, fine-tuning and packing; `jaxprune.masks`.

Pure functions of arrays, independent of the model; see `models/masks.py` for mask trees.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array

from jaxprune.base.errors import InputError
from jaxprune.devices.compiled import compiled
from jaxprune.models.mask_trees import cut_by_xla, masks_of, placed
from jaxprune.models.masks import apply as apply
from jaxprune.models.masks import density as density
from jaxprune.models.masks import difference as difference
from jaxprune.models.masks import intersect as intersect
from jaxprune.models.masks import invert as invert
from jaxprune.models.masks import overlap as overlap
from jaxprune.models.masks import pack as pack
from jaxprune.models.masks import union as union
from jaxprune.models.masks import unpack as unpack
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.shares import Shares as Shares
from jaxprune.models.trees import MaskTree, Params, ScoreTree, named_leaves, path_name
from jaxprune.pruning.budget import Budget, Selection


def __dir__() -> list[str]:
    algebra = ["intersect", "union", "difference", "invert"]
    return ["keep", *algebra, "density", "overlap", "Shares", "apply", "freeze", "pack", "unpack"]


def keep(
    scores: ScoreTree,
    sparsity: float | None = None,
    pattern: str = "unstructured",
    threshold: str = "row",
    drop: str = "lowest",
    group: str = "row",
) -> MaskTree:
    """Masks that keep the weights with the highest scores; traceable by jit.

    Scores compete within one output column of a kernel (a row of the paper, section 3.2), along
    axis -2. They are compared in float32, with NaN above +inf and -0 equal to +0; among equal scores the
    one with the lower input index is dropped first.

    Args:
        scores: float `[in, out]` or `[L, in, out]` leaves. Masks have the sharding of their scores.
        sparsity: share to drop, 0 <= sparsity < 1: exactly int(in * sparsity) in every column; 0
            keeps all. An N:M pattern implies it: omit it, or pass 1 - N/M.
        pattern: `unstructured`, or `N:M` such as `2:4`: keep N of every M along axis -2.
        threshold: `row`, or `variant` for Wanda's cumulative threshold of non-negative scores, which
            meets the sparsity of a matrix only within 0.001 (see `selection.keep_variant`).
        drop: `lowest`, or `highest` for the ablation.
        group: scores compete within an output column (`row`) or within the whole kernel (`kernel`),
            of which exactly int(in * out * sparsity) weights are dropped.

    Returns:
        A tree like `scores` with bool leaves, True = keep.

    Raises:
        InputError: an invalid value, values that contradict each other, leaves of integers or of another
            number of axes, or a kernel whose input size M does not divide.

    Examples:
        >>> import jaxprune as jp, numpy as np
        >>> scores = {"kernel": np.array([[1.0, 8.0], [2.0, 7.0], [3.0, 6.0], [4.0, 5.0]])}
        >>> jp.masks.keep(scores, sparsity=0.5)["kernel"].astype(int).T
        Array([[0, 0, 1, 1],
               [1, 1, 0, 0]], dtype=int32)
        >>> jp.masks.keep(scores, pattern="1:2")["kernel"].astype(int).T
        Array([[0, 1, 0, 1],
               [1, 0, 1, 0]], dtype=int32)
    """
    selection_rule = Selection(
        sparsity=sparsity, pattern=pattern, threshold=threshold, drop=drop, group=group
    )
    for name, leaf in named_leaves("scores", scores).items():
        if not jnp.issubdtype(leaf.dtype, jnp.floating):  # JAX would truncate integers to 32 bits
            raise InputError(f"scores: {name} is {leaf.dtype}; expected floats")
        if leaf.ndim not in (2, 3):
            raise InputError(
                f"scores: {name} has shape {leaf.shape}; expected [in, out] or [layers, in, out]"
            )

    def leaf_masks(path: Any, leaf: Array | np.ndarray) -> Any:
        budget = Budget.of(selection_rule, path_name(path), (leaf.shape[-2], leaf.shape[-1]))
        return placed(_keep_leaf(budget, cut_by_xla(leaf)), leaf)

    return jax.tree_util.tree_map_with_path(leaf_masks, scores)


_keep_leaf = compiled(Budget.keep)


class FreezeState(NamedTuple):
    """The state of `freeze`: a tree like the parameters, with their masks, or `optax.MaskedNode()` without one."""

    keep: Any


def freeze(masks: MaskTree | PackedMasks) -> optax.GradientTransformation:
    """An optax transformation whose updates of dropped weights are exactly +0.

    Chain it last: `optax.chain(optax.adamw(1e-4), jaxprune.masks.freeze(masks))`. Weights that `apply` has set to 0
    then stay 0, despite weight decay, momentum or gradients of NaN before it. Other updates are unchanged. For
    transformations that sum over all gradients, such as clipping by norm, put `freeze(masks)` before them as well, to
    exclude the gradients of dropped weights.

    The masks are in the state, a byte per weight, with the sharding of their parameters, so compiled steps take them as
    arguments and contain no constants. `optax.tree.map_params` needs
    `is_leaf=lambda node: isinstance(node, optax.MaskedNode)`, as for `optax.masked`.

    Args:
        masks: a bool tree, True = keep, or the result of `pack`.

    Raises:
        InputError: from `init`, as in `apply`: masks that do not fit the parameters.

    Examples:
        >>> import jax, jax.numpy as jnp, jaxprune as jp, optax
        >>> params = {"kernel": jnp.array([[0.0, 2.0]])}
        >>> masks = {"kernel": jnp.array([[False, True]])}
        >>> optimizer = optax.chain(optax.adamw(0.1), jp.masks.freeze(masks))
        >>> gradients = {"kernel": jnp.array([[jnp.nan, 1.0]])}
        >>> updates, state = optimizer.update(gradients, optimizer.init(params), params)
        >>> jnp.sign(updates["kernel"])
        Array([[ 0., -1.]], dtype=float32)
    """

    def init(params: Params) -> FreezeState:
        tree = unpack(masks) if isinstance(masks, PackedMasks) else masks
        # no leaves: optax searches a state for parameters
        by_path = masks_of(params, tree) if jax.tree.leaves(params) else {}

        def leaf(path: Any, weight: Array | np.ndarray) -> Any:
            mask = by_path.get(path_name(path))
            return optax.MaskedNode() if mask is None else jnp.asarray(placed(mask, weight))

        return FreezeState(jax.tree_util.tree_map_with_path(leaf, params))

    def update(updates: Any, state: FreezeState, params: Params | None = None) -> Any:

        def leaf(keep: Any, update: Array) -> Array:
            if isinstance(keep, optax.MaskedNode):
                return update
            return jnp.where(keep, update, jnp.zeros((), update.dtype))

        is_unmasked = lambda node: isinstance(node, optax.MaskedNode)  # noqa: E731
        return jax.tree.map(leaf, state.keep, updates, is_leaf=is_unmasked), state

    return optax.GradientTransformation(init, update)
