"""Kernels of one block on the devices → their masks and new weights, by a method."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from jaxprune.base.errors import InputError
from jaxprune.data.batches import SetKey
from jaxprune.devices.sharding import replicated
from jaxprune.hf.aligned import aligned_cast
from jaxprune.models.config import ModelConfig
from jaxprune.models.grids.grid import Quantized, Weight
from jaxprune.models.model import family_of
from jaxprune.models.pruned_block import without_dropped
from jaxprune.models.trees import BlockParams
from jaxprune.pruning.budget import VARIANT, Budget
from jaxprune.pruning.criterion import CODE, Criterion, Inputs, key_of_seed
from jaxprune.pruning.method import Method
from jaxprune.pruning.programs import prune_compiled, prune_whole
from jaxprune.pruning.settings import Settings
from jaxprune.stats.inverse_factor import DAMPING
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import Sums, combined


@dataclasses.dataclass(frozen=True)
class BlockPruning:
    """The pruning of one block.

    Attributes:
      config: config of the model.
      layer: index of the block.
      host: the block as stored.
      tokens: number of real tokens of each set.
      shares: share of each kernel's weights to drop, by path; other kernels keep all their weights.
      settings: method and selection.
      methods: the method of each kernel, by path.
      mesh: devices.
      keep: masks of weights that stay dropped in a rounding, by path; empty if there are none.
    """

    config: ModelConfig
    layer: int
    host: BlockParams
    tokens: Mapping[SetKey, int]
    shares: Mapping[str, float]
    settings: Settings
    methods: Mapping[str, Method | Criterion]
    mesh: Mesh
    keep: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)


class PrunedKernels(NamedTuple):
    """Kernels of a block after pruning, on the host; see `FinishedLayer`.

    Attributes:
      keep: keep masks by path.
      changed: new kernels by path, if the method changes weights.
      damping: the damping by site, where it was raised.
      errors: `Pruned.error` by path, where it was measured.
    """

    keep: dict[str, np.ndarray]
    changed: dict[str, Weight]
    damping: dict[str, float]
    errors: dict[str, float]


def prune_kernels(
    block: BlockPruning, params: BlockParams, sums: Sums, sites: Sequence[str]
) -> PrunedKernels:
    """Prunes the kernels of a block that read some of its sites.

    Args:
      params: the block on the devices, sharded by `devices.block_specs`.
      sums: statistics of at least these sites; empty for methods without statistics.

    Raises:
      InputError: names layer and site or kernel; see `prune`.
    """
    method, mesh = block.settings.method, block.mesh
    stored, site_of = flatten_dict(dict(block.host), sep="/"), kernels(block.config, sites)
    ignored = {p: np.ones(stored[p].shape, bool) for p in site_of if p not in block.shares}
    reads = {path: site for path, site in site_of.items() if path in block.shares}
    if not reads:
        return PrunedKernels(ignored, {}, {}, {})
    if method.updates_weights:
        weights = {path: stored[path].astype(np.float32) for path in reads}
    else:
        on_devices = flatten_dict(params, sep="/")
        weights = {path: on_devices[path] for path in reads}
    methods = {
        path: method
        for path, method in block.methods.items()
        if isinstance(method, Method) and not method.by_column
    }
    inputs = _inputs(block, sums, reads, replicate=not methods)
    budgets = {
        path: Budget.of(block.settings, path, kernel.shape, block.shares[path])
        for path, kernel in weights.items()
    }
    pruned: Any
    damping: dict[str, float] = {}
    finite: dict[str, Any] = {}
    try:
        if methods:
            pruned, damping = prune_whole(
                weights, inputs, budgets, reads, methods=methods, mesh=mesh
            )
        else:
            # through the host, which needs the masks anyway, instead of a collective: the CPU backend runs
            # collectives on the few threads that also compute, and could deadlock
            results = prune_compiled(weights, inputs, budgets, method=method, mesh=mesh)
            pruned, finite = jax.device_get(results)
    except InputError as error:  # from the user's function, which is traced for the first layer
        raise InputError(f"layer {block.layer}, {error}") from error
    _check_damping(block, damping)
    _check_scores(block, finite)
    masks = ignored | {path: kernel.keep for path, kernel in pruned.items()}
    return PrunedKernels(
        {path: masks[path] for path in site_of},  # in their order
        _changed_kernels(block, pruned, stored),
        {site: added for site, added in damping.items() if added > DAMPING},
        {path: float(kernel.error) for path, kernel in pruned.items() if kernel.error is not None},
    )


def _inputs(
    block: BlockPruning, sums: Sums, reads: Mapping[str, str], *, replicate: bool
) -> dict[str, Inputs]:
    """The inputs of each kernel by path; kernels that read one site share its arrays.

    Args:
      reads: kernel path → site.
      replicate: whether to place the arrays on all devices.
    """
    by_site = {site: _site_inputs(block, sums, site) for site in dict.fromkeys(reads.values())}
    if replicate:
        by_site = jax.device_put(by_site, replicated(block.mesh))
    seed_key, layer = key_of_seed(block.settings.seed), np.int32(block.layer)
    inputs = {}
    for path, site in reads.items():
        norms, stats, counts = by_site[site]
        keep = block.keep.get(path)
        inputs[path] = Inputs(
            norms, path, layer, seed_key, block.settings.compat, stats, counts, keep
        )
    return inputs


def _check_damping(block: BlockPruning, damping: Mapping[str, float]) -> None:
    """Rejects Gram matrices, by site, that have no Cholesky factor."""
    for site, added in damping.items():
        if math.isnan(added):
            raise InputError(
                f"layer {block.layer}, site {site}: the Gram matrix of the features has no Cholesky factor, even with "
                f"damping; use more calibration samples, or another criterion than {block.settings.method.name}"
            )


def _check_scores(block: BlockPruning, finite: Mapping[str, np.ndarray]) -> None:
    """Rejects kernels, by path, with scores that the criterion does not allow in some columns."""
    wrong, allowed = "NaN or infinity", "finite scores"
    if block.settings.threshold == VARIANT:
        wrong, allowed = "NaN, infinity or a negative score", "finite scores of at least 0"
    for path, columns in finite.items():
        if not columns.all():
            raise InputError(
                f"layer {block.layer}, criterion {block.settings.method.name}: {path}: got {wrong} in "
                f"{np.sum(~columns)} of {columns.size} columns; expected {allowed}"
            )


def _changed_kernels(
    block: BlockPruning, pruned: Mapping[str, Any], stored: Mapping[str, Any]
) -> dict[str, Weight]:
    """The kernels, by path, whose weights the method changed: in the dtype of the stored ones, or on their grid."""
    changed: dict[str, Weight] = {}
    for path, kernel in pruned.items():
        if kernel.kernel is None:
            continue
        dtype = stored[path].dtype
        if isinstance(kernel.kernel, Quantized):
            changed[path], numbers = kernel.kernel, kernel.kernel.scales["d"]
        else:
            numbers = without_dropped(aligned_cast(kernel.kernel, dtype), kernel.keep)
            changed[path] = numbers
        if not np.isfinite(numbers.astype(np.float32)).all():
            raise InputError(
                f"layer {block.layer}, {path}: method {block.settings.method.name} returned weights that are not "
                f"finite in {dtype}"
            )
    return changed


def kernels(config: ModelConfig, sites: Sequence[str]) -> dict[str, str]:
    """Kernel path → site of the kernels that read one of `sites`."""
    return {path: site for path, site in family_of(config).sites.items() if site in sites}


def _site_inputs(
    block: BlockPruning, sums: Sums, site: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], dict[str, np.float32]]:
    """The `norms`, `stats` and `tokens` of `Inputs` at a site, each set's languages combined."""
    tokens, settings = block.tokens, block.settings
    norms: dict[str, Any] = {}
    stats: dict[str, dict[str, Any]] = {}
    counts: dict[str, np.float32] = {}
    for set_name, name in settings.method.needs:
        members = [key for key in (*tokens, *sums) if (key.kind == CODE) == (set_name == CODE)]
        keys = [key for key in dict.fromkeys(members) if name in sums.get(key, {}).get(site, {})]
        total = combined(settings.mixture, sums, tokens, keys, site, name)
        stats.setdefault(set_name, {})[name] = total
        if name == SQUARES.name:
            norms[set_name] = jax.device_put(np.sqrt(total))
        counts[set_name] = np.float32(sum(n for key, n in tokens.items() if key in members))
    return norms, stats, counts
