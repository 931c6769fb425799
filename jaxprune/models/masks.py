"""Algebra of keep masks, their application to parameters, and packing.

Pure functions of arrays, independent of the model. A mask tree is the subtree of the parameters with
the pruned kernels; its leaves are bool of the kernel's shape, `[in, out]` or stacked `[L, in, out]`.
True always means kept.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array

from jaxprune.base.errors import InputError
from jaxprune.models.mask_trees import (
    check_same,
    kept_by_layer,
    masks_of,
    named_masks,
    packed_masks,
    placed,
)
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.shares import Shares
from jaxprune.models.trees import MaskTree, Params, path_name


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
    common, first_kept, second_kept = map(kept_by_layer, (first.intersect(second), first, second))
    union = {path: first_kept[path] + second_kept[path] - common[path] for path in common}
    return Shares.of(common, union)


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
        raise InputError('masks: no masks of blocks; expected {"blocks": …}, as PruneResult.masks')
    return PackedMasks.of(flatten_dict(masks["blocks"], sep="/"))


def unpack(packed: PackedMasks) -> MaskTree:
    """The masks {"blocks": …}, as host arrays, from the result of `pack`."""
    return {"blocks": unflatten_dict(packed.unpack(), sep="/")}
