"""Orbax checkpoints: parameters, masks as one bit per weight, statistics, metadata."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.schema import OUTPUT_PATH, PATH, check
from jaxprune.hf.orbax_folder import Placement, restore_json, restore_tree, save_trees, whole
from jaxprune.hf.orbax_folder import restore_packed_masks as restore_packed_masks
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import MaskTree, Params, named_leaves
from jaxprune.pruning import masks as mask_algebra
from jaxprune.steps.saved_stats import restore_stats as restore_stats
from jaxprune.steps.saved_stats import save_stats as save_stats


def __dir__() -> list[str]:
    names = ["Checkpoint", "save", "restore"]
    return [*names, "restore_packed_masks", "save_stats", "restore_stats"]


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint; a part that was not saved is None.

    Attributes:
      params: nested dict as in `Model.params`.
      masks: {"blocks": {… kernel: bool [L, in, out]}} on the host.
      metadata: as saved; the pipeline saves config, digests and versions.
    """

    params: Params | None
    masks: MaskTree | None
    metadata: dict[str, Any]


def save(
    path: str | Path,
    *,
    params: Params | None = None,
    masks: MaskTree | None = None,
    packed_masks: PackedMasks | None = None,
    metadata: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> None:
    """Writes a checkpoint, which gets its final name when it is complete.

    With several processes, all must call it.

    Args:
      path: folder to write, new or empty, or with `overwrite` one that this package wrote.
      params: arrays of JAX or numpy.
      masks: bool trees, True = keep.
      packed_masks: the result of `masks.pack`, instead of `masks`.
      metadata: JSON values.

    Raises:
      InputError: the folder contains other files.
      OSError: the folder cannot be written, for example on a full disk.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> result = jp.prune(model, criterion="magnitude", sparsity=0.5, progress=False)
      >>> jp.checkpoint.save("runs/example/masks", masks=result.masks, metadata={"sparsity": 0.5})
      >>> restored = jp.checkpoint.restore("runs/example/masks")
      >>> restored.metadata, restored.params
      ({'sparsity': 0.5}, None)
      >>> jp.masks.overlap(restored.masks, result.masks).overall
      1.0
    """
    check("path", path, OUTPUT_PATH)
    _check_json(metadata)
    if params is not None:
        named_leaves("params", params)
    if masks is not None:
        packed_masks = mask_algebra.pack(masks)
    bits = None if packed_masks is None else packed_masks.to_tree()
    trees: dict[str, Any] = {"params": params, "masks": bits}
    saved = {name: tree for name, tree in trees.items() if tree is not None}
    save_trees(Path(path), saved, dict(metadata or {}), overwrite)


def restore(path: str | Path, sharding: Placement | None = None) -> Checkpoint:
    """Reads a checkpoint on any number of devices.

    Args:
      path: folder that `save` wrote.
      sharding: one for all parameters, or a tree like the parameters. By default parameters are numpy arrays on the
        host.

    Raises:
      InputError: no complete checkpoint, or a damaged one; a sharding that is missing or does not fit its parameter.

    Examples:
      >>> import jax, jaxprune as jp
      >>> from jax.sharding import NamedSharding, PartitionSpec
      >>> model = jp.load("nano/bloom")
      >>> jp.checkpoint.save("runs/example/params", params=model.params)
      >>> mesh = jax.make_mesh((jax.device_count(),), ("model",))
      >>> def spec(leaf):  # kernels [L, in, out] sharded by columns
      ...     columns = PartitionSpec(None, None, "model")
      ...     return NamedSharding(mesh, columns if leaf.ndim == 3 else PartitionSpec())
      >>> shardings = jax.tree.map(spec, model.params)
      >>> params = jp.checkpoint.restore("runs/example/params", sharding=shardings).params
      >>> params["blocks"]["mlp"]["up"]["kernel"].sharding.spec == PartitionSpec(None, None, "model")
      True
    """
    check("path", path, PATH)
    folder = whole(Path(path))
    params = masks = None
    if (folder / "params").is_dir():
        params = restore_tree(folder / "params", sharding)
    if (folder / "masks").is_dir():
        masks = mask_algebra.unpack(restore_packed_masks(folder))
    return Checkpoint(params, masks, restore_json(folder))


def _check_json(metadata: object) -> None:
    """Rejects values that JSON cannot represent, before Orbax fails on a thread that prints tracebacks."""
    try:
        json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"metadata: {error}; expected JSON values") from None
    if not isinstance(metadata, Mapping | None):
        raise invalid_value("metadata", metadata, "a dict of JSON values")
