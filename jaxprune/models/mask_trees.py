"""Checks and counts of masks, as dicts of leaves by path; and the placement of leaves on devices."""

from typing import Any, TypeGuard

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Array

from jaxprune.base.errors import InputError, check_equal
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import MaskTree, Params, named_leaves


def masks_of(params: Params, masks: MaskTree) -> dict[str, Any]:
    """The masks by path, each with the path of its parameter.

    Raises:
      InputError: a mask has no parameter, another shape or another dtype; a kernel of `params["blocks"]` has no mask.
    """
    by_path = named_leaves("masks", masks)
    weights = named_leaves("params", params)
    for path, mask in by_path.items():
        if path not in weights:
            raise InputError(f"masks: {path} {mask.shape} has no parameter of that path")
        if mask.dtype != bool or mask.shape != weights[path].shape:
            raise InputError(
                f"masks: {path} is {mask.dtype} of shape {mask.shape}; expected bool of the "
                f"parameter's shape {weights[path].shape}"
            )

    for path in weights:
        if path.startswith("blocks/") and path.endswith("/kernel") and path not in by_path:
            raise InputError(
                f"masks: {path} has none; expected masks of all kernels of the blocks, all True for kernels to keep"
            )
    return by_path


def _is_committed(leaf: Array | np.ndarray) -> TypeGuard[Array]:
    """Whether a leaf is committed to devices; always False inside jit."""
    is_traced = isinstance(leaf, jax.core.Tracer)
    return isinstance(leaf, jax.Array) and not is_traced and leaf.committed


def placed(leaf: Array | np.ndarray, like: Array | np.ndarray) -> Array | np.ndarray:
    """The leaf with the sharding of `like`, if `like` is committed to devices."""
    return jax.device_put(leaf, like.sharding) if _is_committed(like) else leaf


def cut_by_xla(leaf: Array | np.ndarray) -> Array | np.ndarray:
    """The leaf on its devices, with automatic mesh axes: loops reject explicit ones."""
    if not _is_committed(leaf) or not isinstance(leaf.sharding, NamedSharding):
        return leaf
    mesh, spec = leaf.sharding.mesh, leaf.sharding.spec
    return jax.device_put(leaf, NamedSharding(Mesh(mesh.devices, mesh.axis_names), spec))


def named_masks(masks: MaskTree) -> dict[str, Any]:
    """The masks by path; rejects other dtypes, whose zeros and ones could pass for masks."""
    by_path = named_leaves("masks", masks)
    for path, mask in by_path.items():
        if mask.dtype != bool or mask.ndim not in (2, 3):
            raise InputError(
                f"masks: {path} is {mask.dtype} of shape {mask.shape}; expected bool [in, out] or [layers, in, out]"
            )
    return by_path


def packed_masks(masks: MaskTree | PackedMasks) -> PackedMasks:
    """One bit per weight, by the paths of a tree."""
    if not isinstance(masks, PackedMasks):
        return PackedMasks.of(named_masks(masks))
    shapes = {f"blocks/{path}": shape for path, shape in masks.shapes.items()}
    return PackedMasks({f"blocks/{path}": bits for path, bits in masks.bits.items()}, shapes)


def kept_by_layer(masks: PackedMasks) -> dict[str, np.ndarray]:
    """The number of kept weights of each mask by layer, int64 [L]; L = 1 for `[in, out]`."""
    return {path: count.reshape(-1) for path, count in masks.kept().items()}


def check_same(masks: MaskTree, other: MaskTree) -> None:
    """Rejects masks of different models; names the first path that differs."""
    first, second = (
        {path: mask.shape for path, mask in named_masks(tree).items()} for tree in (masks, other)
    )
    check_equal("masks", first, second, "masks of the same model")
