"""Orbax checkpoints: parameters, masks as one bit per weight, statistics, metadata."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import jax
import numpy as np
from jax.sharding import Mesh, Sharding

from jaxprune.calibration import SetKey
from jaxprune.devices import hosts
from jaxprune.errors import InputError, refusal
from jaxprune.files import Count, from_json, read_json, sealed
from jaxprune.models import MaskTree, Params, named_leaves, path_name
from jaxprune.passes import ActivationStats
from jaxprune.pruning import PackedMasks
from jaxprune.pruning import masks as mask_algebra
from jaxprune.schema import PATH, check

# Shardings of parameters: one for all, a tree like the parameters, or a function of their paths.
Placement = Sharding | Mapping[str, Any] | Callable[[str], Sharding]
# Bytes of a checkpoint besides its arrays: indices, metadata, blocks of the file system.
_BESIDE = 8 << 20
_METADATA = "metadata/metadata"


def __dir__() -> list[str]:
    whole = ["Checkpoint", "save", "restore"]
    return [*whole, "restore_packed_masks", "save_stats", "restore_stats"]


class StatsAbout(TypedDict):
    """Metadata of a checkpoint of statistics; older versions wrote `count` and `languages` instead of `sets`."""

    sets: NotRequired[list[tuple[str, str, Count]]]  # kind, language, tokens
    sites: list[tuple[str, str]]
    count: NotRequired[dict[str, Count]]
    languages: NotRequired[dict[str, dict[str, Count]]]


class DamagedError(InputError):
    """A checkpoint whose files differ from their digests."""


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
    check("path", path, PATH)
    _check_json(metadata)
    if params is not None:
        named_leaves("params", params)
    if masks is not None:
        packed_masks = mask_algebra.pack(masks)
    bits = None if packed_masks is None else packed_masks.to_tree()
    trees: dict[str, Any] = {"params": params, "masks": bits}
    given = {name: tree for name, tree in trees.items() if tree is not None}
    _save(Path(path).expanduser(), given, dict(metadata or {}), overwrite)


def restore(path: str | Path, sharding: Placement | None = None) -> Checkpoint:
    """Reads a checkpoint on any number of devices.

    Args:
      path: folder that `save` wrote.
      sharding: of the parameters: one for all, a tree like the parameters, or a function from a path such as
        "blocks/mlp/up/kernel" to one. By default parameters are numpy arrays on the host.

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
    folder = _whole(Path(path))
    params = masks = None
    if (folder / "params").is_dir():
        params = _restore_tree(folder / "params", sharding)
    if (folder / "masks").is_dir():
        masks = mask_algebra.unpack(restore_packed_masks(folder))
    return Checkpoint(params, masks, _restore_json(folder))


def restore_packed_masks(path: str | Path) -> PackedMasks:
    """The masks of a checkpoint, one bit per weight.

    Raises:
      InputError: no masks, or damaged ones.
    """
    item = _whole(Path(path)) / "masks"
    if not item.is_dir():
        raise InputError(f"{path}: contains no masks")
    return PackedMasks.from_tree(_restore_tree(item, None))


def _check_json(metadata: object) -> None:
    """Rejects values that JSON cannot represent, before Orbax fails on a thread that prints tracebacks."""
    try:
        json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"metadata: {error}; allowed: JSON values") from None
    if not isinstance(metadata, Mapping | None):
        raise refusal("metadata", metadata, "a dict of JSON values")


def save_stats(path: str | Path, stats: ActivationStats) -> None:
    """Writes the sums and token counts of each set, and the table of sites."""
    sets = [(key.kind, key.language, int(stats.tokens[key])) for key in stats.sums]
    metadata = {"sets": sets, "sites": [list(pair) for pair in stats.sites]}
    sums = {str(number): sites for number, sites in enumerate(stats.sums.values())}
    _save(Path(path), {"sums": sums}, metadata, overwrite=False)


def restore_stats(path: str | Path) -> ActivationStats:
    """Reads the statistics of `save_stats` onto the host; InputError without a complete checkpoint.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> stats = jp.probe(model, batches, progress=False)
      >>> jp.checkpoint.save_stats("runs/example/stats", stats)
      >>> jp.checkpoint.restore_stats("runs/example/stats").count == stats.count
      True
    """
    folder = _whole(Path(path))
    metadata = from_json(StatsAbout, _restore_json(folder), str(folder / _METADATA))
    sites = tuple((kernel, site) for kernel, site in metadata["sites"])
    if "sets" not in metadata:
        return _older_stats(folder, metadata, sites)
    tokens = {SetKey(kind, language): number for kind, language, number in metadata["sets"]}
    sums = _restore_tree(folder / "sums", None)
    by_set = {key: sums[str(number)] for number, key in enumerate(tokens)}
    return ActivationStats(by_set, tokens, sites)


def _older_stats(
    folder: Path, metadata: StatsAbout, sites: tuple[tuple[str, str], ...]
) -> ActivationStats:
    """Statistics of an older version, with one sum per role over all languages: one set each, named by their codes."""
    languages, sum_sq = metadata.get("languages", {}), _restore_tree(folder / "sum_sq", None)
    keys = {role: SetKey(role, ",".join(languages.get(role, {}))) for role in sum_sq}
    return ActivationStats.from_squares(
        {keys[role]: sums for role, sums in sum_sq.items()},
        {keys[role]: metadata["count"][role] for role in sum_sq},
        sites,
    )


def _save(
    folder: Path, trees: Mapping[str, Any], metadata: Mapping[str, Any], overwrite: bool
) -> None:
    """Orbax writes next to `folder`; an older folder is removed only when the new one is complete.

    Host arrays are first sharded over all devices, as in Orbax each process writes the shards of its devices.
    """
    folder = folder.absolute()
    unfinished = sealed.unfinished_name(folder)
    if hosts.is_first():
        sealed.check_replaceable(folder, overwrite)
        sealed.unfinished(folder)
        _check_space(folder, trees)
    hosts.wait(f"begin {folder.name}")
    import orbax.checkpoint as ocp  # late, as its import takes a fifth of the time of JAX

    items: dict[str, Any] = {"metadata": ocp.args.JsonSave(metadata)}
    items |= {name: ocp.args.PyTreeSave(hosts.spread(tree)) for name, tree in trees.items()}
    with _writing(folder), ocp.Checkpointer(ocp.CompositeCheckpointHandler()) as checkpointer:
        checkpointer.save(unfinished, args=ocp.args.Composite(**items))
    if hosts.is_first():
        sealed.finish(folder)
    hosts.wait(f"end {folder.name}")


def _check_space(folder: Path, trees: Mapping[str, Any]) -> None:
    """Rejects a disk or a file size limit that is too small, at which threads of TensorStore would print tracebacks."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(trees)) + _BESIDE
    free = shutil.disk_usage(next(p for p in folder.parents if p.is_dir())).free
    allowed, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = {errno.ENOSPC: (free, "free"), errno.EFBIG: (allowed, "allowed")}
    for code, (most, word) in limits.items():
        if most != resource.RLIM_INFINITY and needed > most:
            reason = f"{os.strerror(code)}, {needed:,} bytes needed and {most:,} {word}"
            raise OSError(code, reason, str(folder))


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Removes the folder if writing fails, and converts TensorStore's file errors to OSError."""
    try:
        yield
    except Exception as error:
        sealed.discard(folder)
        if isinstance(error, OSError) or not re.match(r"[A-Z_]+: ", str(error)):
            raise
        reason = re.search(r"([^:]+) \[os_error_code=", str(error))
        why = reason[1].strip() if reason else str(error)[:200]
        raise OSError(f"{folder}: not written, {why}") from error


def _check_files(folder: Path, item: str) -> None:
    """Rejects an item whose files differ from their digests; TensorStore does not verify its reads."""
    for name, facts in sealed.table(folder).items():
        if name.split("/")[0] == item and sealed.fault(folder / name, facts):
            raise DamagedError(f"{folder / name}: {sealed.DAMAGED}")


def _whole(folder: Path) -> Path:
    if not all((folder / name).is_file() for name in ("_CHECKPOINT_METADATA", sealed.TABLE)):
        raise InputError(f"{folder}: no complete checkpoint; expected a folder that jaxprune saved")
    return folder.absolute()


def _restore_tree(item: Path, sharding: Placement | None) -> Any:
    import orbax.checkpoint as ocp

    # A Checkpointer would warn that a single item lacks the metadata of a checkpoint.
    _check_files(item.parent, item.name)
    with contextlib.closing(ocp.PyTreeCheckpointHandler()) as handler:
        arrays = handler.metadata(item).tree
        if sharding is None:
            args = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), arrays)
        else:
            shardings = _shardings(sharding, arrays)
            args = jax.tree.map(lambda one: ocp.ArrayRestoreArgs(sharding=one), shardings)
        return handler.restore(item, args=ocp.args.PyTreeRestore(restore_args=args))


def _shardings(sharding: Placement, arrays: Mapping[str, Any]) -> Any:
    """A tree like `arrays`, the metadata of parameters, with the sharding of each.

    Checked before any read: if one of many reads fails, the threads of the others print tracebacks.
    """
    names = named_leaves("params", arrays)
    if isinstance(sharding, Mapping):
        given = {path_name(p): one for p, one in jax.tree_util.tree_leaves_with_path(sharding)}
        for name in [*names, *given]:
            if name not in given or name not in names:
                got = "missing" if name in names else "not in the checkpoint"
                raise InputError(f"sharding: {name}: {got}; allowed: a tree like the parameters")
        place: Callable[[str], Any] = given.__getitem__
    elif isinstance(sharding, Sharding):
        place = lambda name: sharding  # noqa: E731
    elif callable(sharding) and not isinstance(sharding, Mesh):  # which is callable too
        place = sharding
    else:
        allowed = "a jax.sharding.Sharding, a tree of them, or a function from paths to them"
        raise refusal("sharding", sharding, allowed)
    shardings = [_fitting(place(name), name, leaf.shape) for name, leaf in names.items()]
    return jax.tree.unflatten(jax.tree.structure(arrays), shardings)


def _fitting(sharding: Any, name: str, shape: tuple[int, ...]) -> Sharding:
    """The sharding, if it fits the parameter."""
    if not isinstance(sharding, Sharding):
        raise refusal(f"sharding: {name}", sharding, "a jax.sharding.Sharding")
    fits = len(getattr(sharding, "spec", ())) <= len(shape)  # on one device JAX accepts more axes
    try:
        sharding.shard_shape(shape)
    except (ValueError, IndexError):
        fits = False
    if not fits:
        raise refusal(f"sharding: {name}", sharding, f"one that divides the shape {shape} evenly")
    return sharding


def _restore_json(folder: Path) -> dict[str, Any]:
    _check_files(folder, "metadata")
    return read_json(folder / _METADATA)
