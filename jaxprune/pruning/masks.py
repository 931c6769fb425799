"""Keep masks: selection from scores, algebra, application to parameters, fine-tuning and packing.

Pure functions of arrays, independent of the model. A mask tree is the subtree of the parameters with
the pruned kernels; its leaves are bool of the kernel's shape, `[in, out]` or stacked `[L, in, out]`.
True always means kept.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array

from jaxprune.devices import compiled
from jaxprune.errors import InputError
from jaxprune.models import MaskTree, Params, ScoreTree, named_leaves, path_name
from jaxprune.pruning.drop import Drop, Selection
from jaxprune.pruning.mask_trees import (
    check_same,
    cut_by_xla,
    kept_by_layer,
    masks_of,
    named_masks,
    packed_masks,
    placed,
)
from jaxprune.pruning.packed import PackedMasks
from jaxprune.pruning.shares import Shares


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
    how = Selection(sparsity=sparsity, pattern=pattern, threshold=threshold, drop=drop, group=group)
    for name, leaf in named_leaves("scores", scores).items():
        if not jnp.issubdtype(leaf.dtype, jnp.floating):  # JAX would truncate integers to 32 bits
            raise InputError(f"scores: {name} is {leaf.dtype}; allowed: floats")
        if leaf.ndim not in (2, 3):
            raise InputError(
                f"scores: {name} has shape {leaf.shape}; allowed: [in, out] or [layers, in, out]"
            )

    def leaf_masks(path: Any, leaf: Array | np.ndarray) -> Any:
        dropped = Drop.of(how, path_name(path), (leaf.shape[-2], leaf.shape[-1]))
        return placed(_keep_leaf(dropped, cut_by_xla(leaf)), leaf)

    return jax.tree_util.tree_map_with_path(leaf_masks, scores)


_keep_leaf = compiled(Drop.keep)


def intersect(masks: MaskTree, other: MaskTree) -> MaskTree:
    """Weights that both masks keep; traceable by jit.

    Raises:
        InputError: the trees differ in a path or shape.

    Examples:
        >>> import jaxprune as jp, numpy as np
        >>> a, b = ({"kernel": np.array([bits], bool)} for bits in ([1, 1, 0, 0], [1, 0, 1, 0]))
        >>> for combined in (jp.masks.intersect, jp.masks.union, jp.masks.difference):
        ...     print(combined.__name__, combined(a, b)["kernel"].astype(int))
        intersect [[1 0 0 0]]
        union [[1 1 1 0]]
        difference [[0 1 0 0]]
        >>> jp.masks.invert(a)["kernel"].astype(int)
        Array([[0, 0, 1, 1]], dtype=int32)
    """
    check_same(masks, other)
    return jax.tree.map(jnp.logical_and, masks, other)


def union(masks: MaskTree, other: MaskTree) -> MaskTree:
    """Weights that either mask keeps; see `intersect`. InputError: the trees differ in a path or shape."""
    check_same(masks, other)
    return jax.tree.map(jnp.logical_or, masks, other)


def difference(masks: MaskTree, other: MaskTree) -> MaskTree:
    """Weights that only the first mask keeps; see `intersect`. InputError: the trees differ in a path or shape."""
    return intersect(masks, invert(other))


def invert(masks: MaskTree) -> MaskTree:
    """Weights that the mask drops; see `intersect`."""
    named_masks(masks)
    return jax.tree.map(jnp.logical_not, masks)


def density(masks: MaskTree | PackedMasks) -> Shares:
    """Share of kept weights, 1 - sparsity; 1 for a leaf without weights.

    Args:
        masks: a bool tree, True = keep, or the result of `pack`.

    Examples:
        >>> import jaxprune as jp, numpy as np
        >>> jp.masks.density({"kernel": np.array([[True, False, False, False]])}).overall
        0.25
    """
    packed = packed_masks(masks)
    sizes = {path: math.prod(shape[-2:]) for path, shape in packed.shapes.items()}
    kept = kept_by_layer(packed)
    return Shares.of(kept, {path: np.full_like(kept[path], sizes[path]) for path in kept})


def overlap(masks: MaskTree | PackedMasks, other: MaskTree | PackedMasks) -> Shares:
    """Intersection over union of the kept weights; 1 if neither tree keeps any.

    Args:
        masks: a bool tree, True = keep, or the result of `pack`.
        other: the same.

    Raises:
        InputError: the masks differ in a path or shape.

    Examples:
        >>> import jaxprune as jp, numpy as np
        >>> a, b = ({"kernel": np.array([bits], bool)} for bits in ([1, 1, 0, 0], [1, 0, 1, 0]))
        >>> round(jp.masks.overlap(a, b).overall, 3)
        0.333
    """
    first, second = packed_masks(masks), packed_masks(other)
    both, ours, theirs = map(kept_by_layer, (first.intersect(second), first, second))
    return Shares.of(both, {path: ours[path] + theirs[path] - both[path] for path in both})


def apply(params: Params, masks: MaskTree) -> Params:
    """Parameters with dropped weights +0 and the bits of kept weights unchanged; traceable by jit.

    Leaves without a mask are the same objects in the result; `params` remains unchanged. Pruned leaves
    keep their sharding.

    Raises:
        InputError: a mask has no parameter, has another shape, or is not bool; a kernel of
            `params["blocks"]` has no mask.

    Examples:
        >>> import jaxprune as jp
        >>> model = jp.load("nano/bloom")
        >>> masks = jp.masks.keep(jp.scores.magnitude(model.params), sparsity=0.5)
        >>> pruned = jp.masks.apply(model.params, masks)
        >>> float((pruned["blocks"]["mlp"]["up"]["kernel"] == 0).mean())
        0.5
        >>> pruned["embed"]["tokens"] is model.params["embed"]["tokens"]
        True
    """
    by_path = masks_of(params, masks)

    def leaf(path: Any, weight: Array | np.ndarray) -> Array | np.ndarray:
        mask = by_path.get(path_name(path))
        if mask is None:
            return weight
        if isinstance(weight, np.ndarray) and weight.dtype.itemsize > 4:
            return np.where(np.asarray(mask), weight, 0)  # JAX would round float64
        zero = jnp.zeros((), weight.dtype)
        return placed(jnp.where(placed(mask, weight), weight, zero), weight)

    return jax.tree_util.tree_map_with_path(leaf, params)


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


def pack(masks: MaskTree) -> PackedMasks:
    """Masks {"blocks": …} as one bit per weight, on the host; InputError for other trees.

    Examples:
        >>> import jaxprune as jp, numpy as np
        >>> masks = {"blocks": {"kernel": np.eye(24, dtype=bool)[None]}}
        >>> packed = jp.masks.pack(masks)
        >>> packed.bits["kernel"].nbytes, masks["blocks"]["kernel"].nbytes
        (72, 576)
        >>> bool((jp.masks.unpack(packed)["blocks"]["kernel"] == np.eye(24)).all())
        True
    """
    if not named_masks(masks).keys() or masks.keys() != {"blocks"}:
        raise InputError('masks: no masks of blocks; allowed: {"blocks": …}, as PruneResult.masks')
    return PackedMasks.of(flatten_dict(masks["blocks"], sep="/"))


def unpack(packed: PackedMasks) -> MaskTree:
    """The masks {"blocks": …}, as host arrays, from the result of `pack`."""
    return {"blocks": unflatten_dict(packed.unpack(), sep="/")}
