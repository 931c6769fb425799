"""Kernels of one block on the devices: pruned by a method, then replaced by the result."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, PartitionSpec

from jaxprune.calibration import COMBINATIONS, SetKey
from jaxprune.devices import EVERY, WHOLE, compiled, replicated
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

# Columns of a kernel that a method prunes at a time if its columns are independent.
STRIPE = 128


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
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Prunes the kernels of a block that read some of its sites.

    Args:
      host: the block as stored.
      params: the block on the devices, sharded by `devices.block_specs`.
      sums: statistics of at least these sites; empty for methods without statistics.
      tokens: number of real tokens of each set.
      share: share of each kernel's weights to drop.

    Returns:
      By path, on the host: keep masks, and new kernels if the method changes weights; see `FinishedLayer`.
    """
    reads = kernels(config, sites)
    stored = flatten_dict(dict(host), sep="/")
    on_devices = flatten_dict(params, sep="/")
    as_stored = settings.method.updates_weights
    weights = {p: stored[p].astype(np.float32) if as_stored else on_devices[p] for p in reads}
    # kernels that read one site share its arrays on the devices
    seen = {
        site: jax.device_put(_seen(settings, sums, tokens, site), replicated(mesh))
        for site in sites
    }
    seed_key = key_of_seed(settings.seed)
    inputs = {}
    for path, site in reads.items():
        norms, stats = seen[site]
        inputs[path] = Inputs(norms, path, np.int32(layer), seed_key, settings.compat, stats)
    # Through the host, which needs the masks anyway, instead of a collective: the CPU backend runs
    # collectives on the few threads that also compute, and could deadlock.
    drops = {path: Drop.of(settings, path, leaf.shape[0], share) for path, leaf in weights.items()}
    try:
        pruned, finite = jax.device_get(
            prune_compiled(weights, inputs, drops, method=settings.method, mesh=mesh)
        )
    except InputError as error:  # from the user's function, which is traced for the first layer
        raise InputError(f"layer {layer}, {error}") from error
    for path, columns in finite.items():
        if not columns.all():
            raise InputError(
                f"layer {layer}, criterion {settings.method.name}: {path}: got NaN or infinity in "
                f"{np.sum(~columns)} of {columns.size} columns; allowed: finite scores"
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
                f"layer {layer}, {path}: method {settings.method.name} returned weights that are not finite in "
                f"{kernel.dtype}"
            )
    return keep, changed


def kernels(config: ModelConfig, sites: Sequence[str]) -> dict[str, str]:
    """Kernel path → site of the kernels that read one of `sites`."""
    return {path: site for path, site in family_of(config).sites.items() if site in sites}


def _seen(
    settings: Settings, sums: Sums, tokens: Mapping[SetKey, int], site: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The `norms` and `stats` of `Inputs` at a site, each set's languages combined."""
    how = COMBINATIONS[settings.combine]
    norms: dict[str, Any] = {}
    stats: dict[str, dict[str, Any]] = {}
    for one, name in settings.method.needs:
        keys = [key for key in sums if (key.kind == CODE) == (one == CODE)]
        total = combined(how, sums, tokens, keys, site, name)
        stats.setdefault(one, {})[name] = total
        if name == SQUARES.name:
            norms[one] = np.sqrt(total)
    return norms, stats


@functools.partial(compiled, static_argnames=("method", "mesh"))
def prune_compiled(
    kernels: Mapping[str, Any],
    inputs: Mapping[str, Inputs],
    drops: Mapping[str, Drop],
    *,
    method: Method | Criterion,
    mesh: Mesh,
) -> tuple[dict[str, Pruned], dict[str, Any]]:
    """Prunes kernels of a block; one program serves every layer, seed and sparsity.

    Args:
      kernels: [in, out] by path, like `inputs` and `drops`.

    Returns:
      By path: the pruned kernels; bool [1, out], True at columns with finite scores, if the criterion requires them.
    """
    if isinstance(method, Method):
        pruned = {
            path: _by_method(method, kernel, inputs[path], drops[path], mesh)
            for path, kernel in kernels.items()
        }
        return pruned, {}

    def score(kernels: Mapping[str, Any], inputs: Mapping[str, Inputs]) -> dict[str, Any]:
        return {p: kernel_scores(method, kernel, inputs[p]) for p, kernel in kernels.items()}

    def rank(scores: Mapping[str, Any], drops: Mapping[str, Drop]) -> tuple[Any, Any]:
        pruned = {path: Pruned(drops[path].keep(one)) for path, one in scores.items()}
        finite = {p: jnp.isfinite(one).all(axis=0, keepdims=True) for p, one in scores.items()}
        return pruned, finite if method.finite else {}

    if not method.by_column:  # sums over columns need all of them
        score = _on_devices(score, mesh, WHOLE)
    scores = score(kernels, inputs)
    # VARIANT searches for one alpha for all columns
    by_row = all(drop.threshold == ROW for drop in drops.values())
    if by_row and all(kernel.shape[1] % mesh.size == 0 for kernel in kernels.values()):
        rank = _on_devices(rank, mesh, PartitionSpec(None, EVERY))
    return rank(scores, drops)


def _on_devices(function: Any, mesh: Mesh, spec: PartitionSpec) -> Any:
    """`function(arrays, rest)` on each device, with its shards of `arrays` and all of `rest`."""
    # check_vma would take the initial constants of the selection's loops for replicated values
    return jax.shard_map(
        function, mesh=mesh, in_specs=(spec, WHOLE), out_specs=spec, check_vma=False
    )


def _by_method(method: Method, kernel: Any, inputs: Inputs, drop: Drop, mesh: Mesh) -> Pruned:
    """Prunes a kernel in stripes of columns that are distributed over the devices, or all of it on each device.

    Rounding of sums depends on shapes, so the width of stripes does not depend on the number of devices.
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
    """The result of the method; InputError unless it has the types and shapes of `Pruned`."""
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


def put_back(
    params: BlockParams,
    keep: Mapping[str, np.ndarray],
    changed: Mapping[str, np.ndarray],
    dtype: str,
) -> BlockParams:
    """A block on the devices with dropped weights +0 and changed weights replaced."""
    flat = flatten_dict(params, sep="/")
    masked = {path: mask for path, mask in keep.items() if path not in changed}
    if masked:
        where = {path: flat[path].sharding for path in masked}
        flat |= drop_weights({p: flat[p] for p in masked}, jax.device_put(masked, where))
    for path, leaf in changed.items():
        flat[path] = jax.device_put(converted(leaf, dtype), flat[path].sharding)
    return unflatten_dict(flat, sep="/")


@functools.partial(compiled, donate_argnames="kernels")
def drop_weights(kernels: dict[str, Any], keep: dict[str, Any]) -> dict[str, Any]:
    """Kernels of a block with the dropped weights +0, with unchanged sharding."""
    return dict(mask_algebra.apply(kernels, keep))


def pruned_params(
    block: BlockParams, keep: Mapping[str, np.ndarray], changed: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The block as stored, with dropped weights +0 and changed weights replaced; all others keep their bits."""
    flat = flatten_dict(dict(block), sep="/")
    for path, mask in keep.items():
        if path not in changed:
            flat[path] = _without_dropped(flat[path], mask)
    return unflatten_dict({**flat, **changed}, sep="/")


def _without_dropped(leaf: np.ndarray, mask: np.ndarray) -> np.ndarray:
    bits = leaf.view(f"u{leaf.itemsize}") * mask  # 7 times as fast as np.where
    return bits.view(leaf.dtype)
