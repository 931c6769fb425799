"""Kernels of one block on the devices: prune them by their method, and put the result in their place."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, PartitionSpec

from jaxprune.calibration import COMBINATIONS, SetKey
from jaxprune.devices import EVERY, WHOLE, compiled
from jaxprune.errors import InputError
from jaxprune.hf import aligned_cast
from jaxprune.models import BlockParams, ModelConfig, family_of
from jaxprune.passes import SQUARES, Sums, combined, converted
from jaxprune.pruning import masks as mask_algebra
from jaxprune.pruning.criterion import CODE, Criterion, Inputs, key_of_seed
from jaxprune.pruning.drop import ROW, Drop
from jaxprune.pruning.method import Method, Pruned
from jaxprune.pruning.scores import kernel_scores
from jaxprune.pruning.settings import Settings

# Columns of a kernel that a method prunes at a time, where it prunes them apart.
STRIPE = 128


class Changes(NamedTuple):
    """What pruning makes of a block, on the host, by path within it.

    Attributes:
      keep: of its kernels, bool [in, out], True = kept.
      changed: parameters with new values, in their stored dtype, dropped weights +0; of all others the kept weights
        stay as they were.
    """

    keep: dict[str, np.ndarray]
    changed: dict[str, np.ndarray]


class Seen(NamedTuple):
    """What a method sees of the inputs of a block's kernels.

    Attributes:
      norms: set → site → ‖X_j‖₂, float32 [in].
      stats: set → site → statistic → float32; of methods that are more than a score.
    """

    norms: dict[str, dict[str, Any]]
    stats: dict[str, dict[str, dict[str, Any]]]


def prune_kernels(
    config: ModelConfig,
    host: BlockParams,
    params: BlockParams,
    sums: Sums,
    tokens: Mapping[SetKey, int],
    sites: Sequence[str],
    settings: Settings,
    share: float,
    layer: int,
    mesh: Mesh,
) -> Changes:
    """Prunes the kernels of a block that read some of its sites.

    Args:
      host: the block as stored.
      params: the block on the devices, as `sharding.block_specs` has it.
      sums: of these sites at least; empty for methods without statistics.
      tokens: real ones of each set.
      share: of each kernel's weights to drop.
    """
    reads = kernels(config, sites)
    stored = flatten_dict(dict(host), sep="/")
    if settings.method.updates_weights:
        weights = {path: stored[path].astype(np.float32) for path in reads}
    else:
        on_devices = flatten_dict(params, sep="/")
        weights = {path: on_devices[path] for path in reads}
    # By way of the host, which wants the masks anyway: no collective, and so none for the CPU
    # backend to wait in, whose few threads run the collectives as well as the products.
    pruned = jax.device_get(
        prune_compiled(
            weights,
            _seen(settings, sums, tokens, reads.values()),
            {path: Drop.of(settings, path, leaf.shape[0], share) for path, leaf in weights.items()},
            key_of_seed(settings.seed),
            np.int32(layer),
            method=settings.method,
            reads=tuple(reads.items()),
            compat=settings.compat,
            mesh=mesh,
        )
    )
    keep = {path: one.keep for path, one in pruned.items()}
    changed = {
        path: _without_dropped(aligned_cast(one.kernel, stored[path].dtype), one.keep)
        for path, one in pruned.items()
        if one.kernel is not None
    }
    for path, kernel in changed.items():
        if not np.isfinite(kernel.astype(np.float32)).all():
            raise InputError(
                f"layer {layer}, {path}: method {settings.method.name} gives weights that are not finite in "
                f"{kernel.dtype}"
            )
    return Changes(keep, changed)


def kernels(config: ModelConfig, sites: Sequence[str]) -> dict[str, str]:
    """Kernel path → site of the kernels that read one of `sites`."""
    return {path: site for path, site in family_of(config).sites.items() if site in sites}


def _seen(settings: Settings, sums: Sums, tokens: Mapping[SetKey, int], sites: Any) -> Seen:
    """Statistics of the sets that a method measures, each set's languages combined."""
    method, how = settings.method, COMBINATIONS[settings.combine]
    seen = Seen({}, {})
    for one in method.sets:
        keys = [key for key in sums if (key.kind == CODE) == (one == CODE)]
        seen.stats[one] = {
            site: {
                name: combined(how, sums, tokens, keys, site, name)
                for wanted, name in method.needs
                if wanted == one
            }
            for site in dict.fromkeys(sites)
        }
        seen.norms[one] = {
            site: np.sqrt(stats[SQUARES.name])
            for site, stats in seen.stats[one].items()
            if SQUARES.name in stats
        }
    return seen


@functools.partial(compiled, static_argnames=("method", "reads", "compat", "mesh"))
def prune_compiled(
    kernels: Mapping[str, Any],
    seen: Seen,
    drops: Mapping[str, Drop],
    seed_key: Any,
    layer: Any,
    *,
    method: Method | Criterion,
    reads: tuple[tuple[str, str], ...],
    compat: str,
    mesh: Mesh,
) -> dict[str, Pruned]:
    """Prunes kernels of a block; one program for every layer, seed and sparsity.

    Args:
      kernels: [in, out] by path.
      reads: (path, site) of each.
    """
    inputs = {path: _inputs(seen, path, site, layer, seed_key, compat) for path, site in reads}
    if isinstance(method, Method):
        return {
            path: _by_method(method, kernel, inputs[path], drops[path], mesh)
            for path, kernel in kernels.items()
        }

    def score(kernels: Mapping[str, Any], inputs: Mapping[str, Inputs]) -> dict[str, Any]:
        return {p: kernel_scores(method, kernel, inputs[p]) for p, kernel in kernels.items()}

    def rank(scores: Mapping[str, Any], drops: Mapping[str, Drop]) -> dict[str, Pruned]:
        return {path: Pruned(drops[path].keep(scores[path])) for path in scores}

    if not method.by_column:  # no sum over columns may be cut into parts
        score = _on_devices(score, mesh, WHOLE)
    scores = score(kernels, inputs)
    # VARIANT seeks one alpha for a whole kernel
    by_row = all(drop.threshold == ROW for drop in drops.values())
    if by_row and all(kernel.shape[1] % mesh.size == 0 for kernel in kernels.values()):
        rank = _on_devices(rank, mesh, PartitionSpec(None, EVERY))
    return rank(scores, drops)


def _inputs(seen: Seen, path: str, site: str, layer: Any, seed_key: Any, compat: str) -> Inputs:
    norms = {one: of_site[site] for one, of_site in seen.norms.items() if site in of_site}
    stats = {one: of_site[site] for one, of_site in seen.stats.items()}
    return Inputs(norms, path, layer, seed_key, compat, stats)


def _on_devices(function: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    """`function(arrays, rest)` on each device: of the parts of the arrays that lie there, and of all the rest."""
    # check_vma: the loops of the selection begin at constants, which it takes for replicated
    return jax.shard_map(
        function, mesh=mesh, in_specs=(spec, WHOLE), out_specs=spec, check_vma=False
    )


def _by_method(method: Method, kernel: Any, inputs: Inputs, drop: Drop, mesh: Mesh) -> Pruned:
    """Prunes a kernel in stripes of its columns, which devices share out, or all of it on each device.

    Sums round as their shapes have it. So stripes are of one width, on whatever number of devices.
    """
    rows, columns = kernel.shape
    is_cut = method.by_column and drop.threshold == ROW and columns % STRIPE == 0
    stripes = kernel.reshape(rows, -1, STRIPE if is_cut else columns).swapaxes(0, 1)

    def prune(stripes: Any, given: tuple[Inputs, Drop]) -> Pruned:
        return jax.lax.map(lambda one: _checked(method, one, *given), stripes)

    spec = PartitionSpec(EVERY) if len(stripes) % mesh.size == 0 else WHOLE
    pruned = _on_devices(prune, mesh, spec)(stripes, (inputs, drop))
    return jax.tree.map(lambda part: part.swapaxes(0, 1).reshape(kernel.shape), pruned)


def _checked(method: Method, kernel: Any, inputs: Inputs, drop: Drop) -> Pruned:
    """The kernel pruned, if the method returns such arrays as `Pruned` says."""
    where, pruned = f"criterion {method.name}: {inputs.path}", method.prune(kernel, inputs, drop)
    if not isinstance(pruned, Pruned) or (pruned.kernel is not None) != method.updates_weights:
        wanted = "with" if method.updates_weights else "without"
        raise InputError(f"{where}: got {type(pruned).__name__}; allowed: Pruned {wanted} a kernel")
    for name, kind in (("keep", jnp.bool_), ("kernel", jnp.floating)):
        array = getattr(pruned, name)
        if array is not None and (
            array.shape != kernel.shape or not jnp.issubdtype(array.dtype, kind)
        ):
            raise InputError(
                f"{where}: {name}: got {array.dtype} of shape {array.shape}; allowed: {kind.__name__} of shape "
                f"{kernel.shape}"
            )
    return pruned


def put_back(params: BlockParams, changes: Changes, dtype: str) -> BlockParams:
    """A block on the devices without the weights that are not kept, and with those that were changed."""
    flat = flatten_dict(params, sep="/")
    masked = {path: mask for path, mask in changes.keep.items() if path not in changes.changed}
    where = {path: flat[path].sharding for path in masked}
    new: dict[str, Any] = {}
    if masked:
        new = drop_weights({p: flat[p] for p in masked}, jax.device_put(masked, where))
    for path, leaf in changes.changed.items():
        new[path] = jax.device_put(converted(leaf, dtype), flat[path].sharding)
    return unflatten_dict({**flat, **new}, sep="/")


@functools.partial(compiled, donate_argnames="kernels")
def drop_weights(kernels: dict[str, Any], keep: dict[str, Any]) -> dict[str, Any]:
    """Kernels of a block with the dropped weights +0, where they were."""
    return dict(mask_algebra.apply(kernels, keep))


def pruned_params(block: BlockParams, changes: Changes) -> dict[str, Any]:
    """The block as stored, dropped weights +0, with the changed ones; all others stay bit for bit."""
    flat = flatten_dict(dict(block), sep="/")
    for path, mask in changes.keep.items():
        if path not in changes.changed:
            flat[path] = _without_dropped(flat[path], mask)
    return unflatten_dict(flat | changes.changed, sep="/")


def _without_dropped(leaf: np.ndarray, mask: np.ndarray) -> np.ndarray:
    bits = leaf.view(f"u{leaf.itemsize}") * mask  # 7 times as fast as np.where
    return bits.view(leaf.dtype)
