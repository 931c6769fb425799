"""Folders that Orbax writes: trees of arrays and a JSON file, complete or absent, checked when they are read."""

import contextlib
import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.files import manifest
from jaxprune.base.files.outside import read_json
from jaxprune.devices import hosts
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.trees import named_leaves, path_name

# Shardings of parameters: one for all, or a tree like the parameters.
Placement = Sharding | Mapping[str, Any]
# Bytes of a checkpoint besides its arrays: indices, metadata, blocks of the file system.
_BESIDE = 8 << 20
METADATA = "metadata/metadata"
# Saves of one process take turns: they would share Orbax's one counter, by which each waits for its folder.
_SAVING = threading.Lock()


def save_trees(
    folder: Path, trees: Mapping[str, Any], metadata: Mapping[str, Any], overwrite: bool
) -> None:
    """Saves trees by Orbax next to `folder`; an older folder is removed only when the new one is complete.

    Host arrays are first sharded over all devices, as in Orbax each process writes the shards of its devices.
    """
    folder = folder.expanduser().absolute()
    unfinished = manifest.unfinished_name(folder)
    if hosts.is_first():
        manifest.check_replaceable(folder, overwrite)
        manifest.unfinished(folder)
        _check_space(folder, trees)
    hosts.wait(f"begin {folder.name}")
    import orbax.checkpoint as ocp  # imported late: takes a fifth of JAX's import time

    items: dict[str, Any] = {"metadata": ocp.args.JsonSave(metadata)}
    items |= {name: ocp.args.PyTreeSave(hosts.spread(tree)) for name, tree in trees.items()}
    with _SAVING, _writing(folder), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as writer:
        writer.save(unfinished, args=ocp.args.Composite(**items))
    if hosts.is_first():
        manifest.finish(folder)
    hosts.wait(f"end {folder.name}")


def _check_space(folder: Path, trees: Mapping[str, Any]) -> None:
    """Rejects a disk that is too small, before threads of TensorStore fail on it and print tracebacks."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(trees)) + _BESIDE
    free = shutil.disk_usage(next(p for p in folder.parents if p.is_dir())).free
    if needed > free:
        reason = f"{os.strerror(errno.ENOSPC)}, {needed:,} bytes needed and {free:,} free"
        raise OSError(errno.ENOSPC, reason, str(folder))


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Removes the folder if writing fails, and converts TensorStore's file errors to OSError."""
    try:
        yield
    except Exception as error:
        manifest.discard(folder)
        if isinstance(error, OSError) or not re.match(r"[A-Z_]+: ", str(error)):
            raise
        match = re.search(r"([^:]+) \[os_error_code=", str(error))
        reason = match[1].strip() if match else str(error)[:200]
        raise OSError(f"{folder}: not written, {reason}") from error


def _check_sizes(folder: Path, item: str) -> None:
    """Rejects an item with a missing file or one of another size, for which TensorStore has unclear messages."""
    for name, facts in manifest.table(folder).items():
        if name.split("/")[0] == item and manifest.fault(folder / name, facts, digest=False):
            raise InputError(f"{folder / name}: {manifest.DAMAGED}")


def whole(folder: Path) -> Path:
    """The absolute path of a complete folder; InputError for any other."""
    folder = folder.expanduser()
    if not all((folder / name).is_file() for name in ("_CHECKPOINT_METADATA", manifest.TABLE)):
        raise InputError(f"{folder}: no complete checkpoint; expected a folder that jaxprune saved")
    return folder.absolute()


def restore_tree(item: Path, sharding: Placement | None) -> Any:
    """The arrays of an item of a folder, on the host without a sharding; InputError if a file is missing or cut."""
    import orbax.checkpoint as ocp

    # A Checkpointer would warn that a single item lacks the metadata of a checkpoint.
    _check_sizes(item.parent, item.name)
    with contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
        arrays = handler.metadata(item).tree
        if sharding is None:
            args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), arrays)
        else:
            shardings = _shardings(sharding, arrays)
            args = jax.tree.map(lambda s: ocp.ArrayRestoreArgs(sharding=s), shardings)
        return handler.restore(item, args=ocp.args.PyTreeRestore(restore_args=args))


def _shardings(sharding: Placement, arrays: Mapping[str, Any]) -> Any:
    """A tree like `arrays`, the metadata of parameters, with the sharding of each.

    Checked before any read: if one of many reads fails, the threads of the others print tracebacks.
    """
    names = named_leaves("params", arrays)
    by_name = dict.fromkeys(names, sharding)
    if isinstance(sharding, Mapping):
        by_name = {path_name(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(sharding)}
    if different := sorted(by_name.keys() ^ names.keys()):
        raise InputError(f"sharding: {different[0]}: expected a tree like the parameters")
    shardings = [_fitting(by_name[name], name, leaf.shape) for name, leaf in names.items()]
    return jax.tree.unflatten(jax.tree.structure(arrays), shardings)


def _fitting(sharding: Any, name: str, shape: tuple[int, ...]) -> Sharding:
    """The sharding, if it fits the parameter."""
    if not isinstance(sharding, Sharding):
        raise invalid_value(
            f"sharding: {name}", sharding, "a jax.sharding.Sharding, or a tree of them"
        )
    fits = len(getattr(sharding, "spec", ())) <= len(shape)  # on one device JAX accepts more axes
    try:
        sharding.shard_shape(shape)
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise invalid_value(
            f"sharding: {name}", sharding, f"one that divides the shape {shape} evenly"
        )
    return sharding


def restore_json(folder: Path) -> dict[str, Any]:
    """The metadata of a folder; InputError if a file is missing or cut."""
    _check_sizes(folder, "metadata")
    return read_json(folder / METADATA)


def restore_packed_masks(path: str | Path) -> PackedMasks:
    """The masks of a checkpoint, one bit per weight.

    Raises:
      InputError: no masks, or damaged ones.
    """
    item = whole(Path(path)) / "masks"
    if not item.is_dir():
        raise InputError(f"{path}: contains no masks")
    return PackedMasks.from_tree(restore_tree(item, None))
