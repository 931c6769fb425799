"""Masks of one block on the devices: select them, drop weights by them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh, PartitionSpec

from jaxprune.devices import EVERY, WHOLE, compiled
from jaxprune.models import BlockParams, ModelConfig, family_of
from jaxprune.passes import SiteSums
from jaxprune.pruning import masks as mask_algebra
from jaxprune.pruning import scores
from jaxprune.pruning.criterion import CODE, DEMONSTRATIONS
from jaxprune.pruning.settings import ROW, Settings


def kernels(config: ModelConfig, sites: Sequence[str]) -> dict[str, str]:
    """Kernel path → site of the kernels that read one of `sites`."""
    return {path: site for path, site in family_of(config).sites.items() if site in sites}


def select(
    config: ModelConfig,
    params: BlockParams,
    sums: SiteSums,
    sites: Sequence[str],
    settings: Settings,
    layer: int,
    mesh: Mesh,
) -> dict[str, np.ndarray]:
    """Which weights stay of the kernels that read `sites`: kernel path → bool [in, out], on the host.

    Args:
      params: of the block, as `sharding.block_specs` has them.
      sums: role → site → Σ X², of these sites at least; empty for criteria without statistics.
    """
    reads = kernels(config, sites)
    norms = {
        CODE if role == CODE else DEMONSTRATIONS: {
            path: np.sqrt(by_site[site]) for path, site in reads.items()
        }
        for role, by_site in sums.items()
    }
    flat = flatten_dict(params, sep="/")
    weights = {path: flat[path] for path in reads}
    # By way of the host, which wants the masks anyway: no collective, and so none for the CPU
    # backend to wait in, whose few threads run the collectives as well as the products.
    return jax.device_get(select_block(weights, norms, layer, settings=settings, mesh=mesh))


def drop(params: BlockParams, keep: Mapping[str, np.ndarray]) -> BlockParams:
    """A block on the devices without the weights that are not kept."""
    flat = flatten_dict(params, sep="/")
    weights = {path: flat.pop(path) for path in keep}
    where = {path: kernel.sharding for path, kernel in weights.items()}
    pruned = drop_weights(weights, jax.device_put(dict(keep), where))
    return unflatten_dict(flat | pruned, sep="/")


@functools.partial(compiled, donate_argnames="kernels")
def drop_weights(kernels: Mapping[str, Any], keep: Mapping[str, Any]) -> Mapping[str, Any]:
    """Kernels of a block with the dropped weights +0, where they were."""
    return mask_algebra.apply(kernels, keep)


@functools.partial(compiled, static_argnames=("settings", "mesh"))
def select_block(
    kernels: Mapping[str, Any],
    norms: Any,
    layer: Any,
    *,
    settings: Settings,
    mesh: Mesh,
) -> dict[str, Any]:
    """Keep masks of a block's kernels, bool [in, out].

    Rows of the paper (output columns) are independent, so each device ranks its share of them.
    """

    def scored(kernels: Mapping[str, Any], norms: Any, layer: Any) -> Mapping[str, Any]:
        criterion, compat, seed = settings.scores_by, settings.compat, settings.seed
        return scores.block_scores(
            kernels, criterion, norms=norms, compat=compat, seed=seed, layer=layer
        )

    if not settings.scores_by.by_column:  # no sum over columns may be cut into parts
        scored = jax.shard_map(
            scored, mesh=mesh, in_specs=(WHOLE,) * 3, out_specs=WHOLE, check_vma=False
        )
    block = scored(kernels, norms, layer)

    def ranked(block: Mapping[str, Any]) -> Any:
        return mask_algebra.keep_by(settings.selection, block)

    divisible = all(kernel.shape[1] % mesh.size == 0 for kernel in kernels.values())
    if divisible and settings.threshold == ROW:  # VARIANT seeks one alpha for a whole kernel
        columns = PartitionSpec(None, EVERY)
        # check_vma: the loops of the selection begin at constants, which it takes for replicated
        ranked = jax.shard_map(
            ranked, mesh=mesh, in_specs=(columns,), out_specs=columns, check_vma=False
        )
    return ranked(block)


def zero_dropped(block: BlockParams, keep: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The block as stored, with the dropped weights +0: kept ones stay bit for bit, whatever the compute dtype."""
    flat = flatten_dict(dict(block), sep="/")
    pruned = {}
    for path, mask in keep.items():
        leaf = flat[path]
        bits = leaf.view(f"u{leaf.itemsize}") * mask  # 7 times as fast as np.where
        pruned[path] = bits.view(leaf.dtype)
    return unflatten_dict(flat | pruned, sep="/")
