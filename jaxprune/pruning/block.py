"""Kernels of one block on the devices → their masks and new weights, by a method."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh

from jaxprune.base.errors import InputError
from jaxprune.data.batches import SetKey
from jaxprune.devices.sharding import replicated
from jaxprune.hf.aligned import aligned_cast
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of
from jaxprune.models.pruned_block import without_dropped
from jaxprune.models.trees import BlockParams
from jaxprune.pruning.budget import VARIANT, Budget
from jaxprune.pruning.criterion import CODE, Inputs, key_of_seed
from jaxprune.pruning.method import Method
from jaxprune.pruning.programs import prune_compiled, prune_whole
from jaxprune.pruning.settings import Settings
from jaxprune.stats.inverse_factor import DAMPING
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import Sums, combined


def prune_kernels(
    config: ModelConfig,
    host: BlockParams,
    params: BlockParams,
    sums: Sums,
    tokens: Mapping[SetKey, int],
    sites: Sequence[str],
    settings: Settings,
    shares: Mapping[str, float],
    layer: int,
    mesh: Mesh,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, float]]:
    """Prunes the kernels of a block that read some of its sites.

    Args:
      host: the block as stored.
      params: the block on the devices, sharded by `devices.block_specs`.
      sums: statistics of at least these sites; empty for methods without statistics.
      tokens: number of real tokens of each set.
      shares: share of each kernel's weights to drop, by path; other kernels keep all their weights.

    Returns:
      By path, on the host: keep masks, and new kernels if the method changes weights; by site, the damping that was
      raised. See `FinishedLayer`.
    """
    stored, of_sites = flatten_dict(dict(host), sep="/"), kernels(config, sites)
    ignored = {path: np.ones(stored[path].shape, bool) for path in of_sites if path not in shares}
    reads = {path: site for path, site in of_sites.items() if path in shares}
    if not reads:
        return ignored, {}, {}
    on_devices = flatten_dict(params, sep="/")
    as_stored = settings.method.updates_weights
    weights = {p: stored[p].astype(np.float32) if as_stored else on_devices[p] for p in reads}
    seen = {site: _seen(settings, sums, tokens, site) for site in sites}
    method = settings.method
    whole = method if isinstance(method, Method) and not method.by_column else None
    if whole is None:
        # kernels that read one site share its arrays on the devices
        seen = jax.device_put(seen, replicated(mesh))
    seed_key = key_of_seed(settings.seed)
    inputs = {}
    for path, site in reads.items():
        norms, stats, counts = seen[site]
        inputs[path] = Inputs(
            norms, path, np.int32(layer), seed_key, settings.compat, stats, counts
        )
    budgets = {p: Budget.of(settings, p, leaf.shape, shares[p]) for p, leaf in weights.items()}
    given = weights, inputs, budgets
    pruned: Any
    damping: dict[str, float] = {}
    finite: dict[str, Any] = {}
    try:
        if whole is not None:
            pruned, damping = prune_whole(*given, reads, method=whole, mesh=mesh)
        else:
            # through the host, which needs the masks anyway, instead of a collective: the CPU backend runs
            # collectives on the few threads that also compute, and could deadlock
            pruned, finite = jax.device_get(prune_compiled(*given, method=method, mesh=mesh))
    except InputError as error:  # from the user's function, which is traced for the first layer
        raise InputError(f"layer {layer}, {error}") from error
    for site, added in damping.items():
        if math.isnan(added):
            raise InputError(
                f"layer {layer}, site {site}: the Gram matrix of the features has no Cholesky factor, even with "
                f"damping; use more calibration samples, or another criterion than {method.name}"
            )
    wrong, allowed = "NaN or infinity", "finite scores"
    if settings.threshold == VARIANT:
        wrong, allowed = "NaN, infinity or a negative score", "finite scores of at least 0"
    for path, columns in finite.items():
        if not columns.all():
            raise InputError(
                f"layer {layer}, criterion {method.name}: {path}: got {wrong} in "
                f"{np.sum(~columns)} of {columns.size} columns; expected {allowed}"
            )
    masks = ignored | {path: one.keep for path, one in pruned.items()}
    keep = {path: masks[path] for path in of_sites}  # in their order
    changed = {
        path: without_dropped(aligned_cast(one.kernel, stored[path].dtype), one.keep)
        for path, one in pruned.items()
        if one.kernel is not None
    }
    for path, kernel in changed.items():
        if not np.isfinite(kernel.astype(np.float32)).all():
            raise InputError(
                f"layer {layer}, {path}: method {method.name} returned weights that are not finite in "
                f"{kernel.dtype}"
            )
    return keep, changed, {site: added for site, added in damping.items() if added > DAMPING}


def kernels(config: ModelConfig, sites: Sequence[str]) -> dict[str, str]:
    """Kernel path → site of the kernels that read one of `sites`."""
    return {path: site for path, site in family_of(config).sites.items() if site in sites}


def _seen(
    settings: Settings, sums: Sums, tokens: Mapping[SetKey, int], site: str
) -> tuple[dict[str, Any], dict[str, dict[str, Any]], dict[str, np.float32]]:
    """The `norms`, `stats` and `tokens` of `Inputs` at a site, each set's languages combined."""
    norms: dict[str, Any] = {}
    stats: dict[str, dict[str, Any]] = {}
    counts: dict[str, np.float32] = {}
    for one, name in settings.method.needs:
        of_set = [key for key in (*tokens, *sums) if (key.kind == CODE) == (one == CODE)]
        keys = [key for key in dict.fromkeys(of_set) if name in sums.get(key, {}).get(site, {})]
        total = combined(settings.mixture, sums, tokens, keys, site, name)
        stats.setdefault(one, {})[name] = total
        if name == SQUARES.name:
            norms[one] = jax.device_put(np.sqrt(total))
        counts[one] = np.float32(sum(n for key, n in tokens.items() if key in of_set))
    return norms, stats, counts
