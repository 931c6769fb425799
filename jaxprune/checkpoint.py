"""Orbax checkpoints: parameters, masks as one bit a weight, statistics, metadata."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.sharding import Sharding

from jaxprune import hosts
from jaxprune import masks as mask_algebra
from jaxprune.errors import InputError
from jaxprune.stats import ActivationStats


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds; a part that was not saved is None.

    Attributes:
      params: nested dict as in `Model.params`.
      masks: {"blocks": {… kernel: bool [L, in, out]}} on the host.
      metadata: whatever was saved; the pipeline saves config, digests and versions.
    """

    params: dict[str, Any] | None
    masks: dict[str, Any] | None
    metadata: dict[str, Any]


def save(
    path: str | Path,
    *,
    params: Mapping[str, Any] | None = None,
    masks: Mapping[str, Any] | None = None,
    packed_masks: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Writes a checkpoint; a folder that is there already is replaced once the new one is whole.

    Of several processes all must call.

    Args:
      path: folder to write.
      params: arrays of JAX or numpy.
      masks: bool trees, True = keep.
      packed_masks: in place of `masks`, what `masks.pack` made of them.
      metadata: JSON values.
    """
    items: dict[str, Any] = {"metadata": ocp.args.JsonSave(dict(metadata or {}))}
    if params is not None:
        items["params"] = ocp.args.PyTreeSave(params)
    if masks is not None:
        packed_masks = mask_algebra.pack(masks)
    if packed_masks is not None:
        items["masks"] = ocp.args.PyTreeSave(packed_masks)
    _save(Path(path), items)


def restore(path: str | Path, sharding: Sharding | None = None) -> Checkpoint:
    """Reads a checkpoint on any number of devices.

    Args:
      path: folder that `save` wrote.
      sharding: where to put the parameters; numpy arrays on the host without it.

    Raises:
      InputError: there is no whole checkpoint.
    """
    folder = _whole(Path(path))
    params = masks = None
    if (folder / "params").is_dir():
        params = _restore_tree(folder / "params", sharding)
    if (folder / "masks").is_dir():
        masks = mask_algebra.unpack(_restore_tree(folder / "masks", None))
    return Checkpoint(params, masks, _restore_json(folder))


def restore_packed_masks(path: str | Path) -> dict[str, Any]:
    """The masks of a checkpoint, one bit a weight, as `masks.pack` made them; InputError where there are none."""
    item = _whole(Path(path)) / "masks"
    if not item.is_dir():
        raise InputError(f"{path}: no masks in it")
    return _restore_tree(item, None)


def save_stats(path: str | Path, stats: ActivationStats) -> None:
    """Writes sums, counts and the table of sites."""
    items = {
        "sum_sq": ocp.args.PyTreeSave(stats.sum_sq),
        "metadata": ocp.args.JsonSave(
            {"count": dict(stats.count), "sites": [list(pair) for pair in stats.sites]}
        ),
    }
    _save(Path(path), items)


def restore_stats(path: str | Path) -> ActivationStats:
    """Reads what `save_stats` wrote, onto the host; InputError where there is no whole checkpoint."""
    folder = _whole(Path(path))
    metadata = _restore_json(folder)
    sites = tuple((kernel, site) for kernel, site in metadata["sites"])
    return ActivationStats(_restore_tree(folder / "sum_sq", None), metadata["count"], sites)


def _save(folder: Path, items: Mapping[str, Any]) -> None:
    """Orbax writes next to `folder` and renames; the old one goes only when the new one is whole."""
    folder = folder.absolute()
    unfinished = folder.with_name(folder.name + ".new")
    if hosts.is_first():
        shutil.rmtree(unfinished, ignore_errors=True)
    hosts.wait(f"begin {folder.name}")
    with ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(unfinished, args=ocp.args.Composite(**items))
    if hosts.is_first():
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    hosts.wait(f"end {folder.name}")


def _whole(folder: Path) -> Path:
    if not (folder / "_CHECKPOINT_METADATA").is_file():
        raise InputError(f"{folder}: no whole checkpoint; expected a folder that jaxprune saved")
    return folder.absolute()


def _restore_tree(item: Path, sharding: Sharding | None) -> Any:
    # Not by a Checkpointer, which warns that one item has no metadata of a whole checkpoint.
    with contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
        on_host = ocp.RestoreArgs(restore_type=np.ndarray)
        one = on_host if sharding is None else ocp.ArrayRestoreArgs(sharding=sharding)
        args = jax.tree.map(lambda _: one, handler.metadata(item).tree)
        return handler.restore(item, args=ocp.args.PyTreeRestore(restore_args=args))


def _restore_json(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metadata" / "metadata").read_text(encoding="utf-8"))
