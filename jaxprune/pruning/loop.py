"""The paper's loop (section 3.2): block by block, statistics → scores → masks → pruned block → next block's input."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.sharding import Mesh

from jaxprune.calibration import Batch, token_counts
from jaxprune.devices import device_mesh
from jaxprune.errors import InputError
from jaxprune.hf import Model
from jaxprune.models import SITES
from jaxprune.passes import (
    ROWS,
    ActivationStats,
    Samples,
    SiteSums,
    blocks,
    collect,
    stack,
    start,
)
from jaxprune.progress import Clock, progress_bar
from jaxprune.pruning import block_masks
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.pruning.summary import summarise


class Done(NamedTuple):
    """What an earlier run found for a layer: `PrunedBlock.keep` and `.sums`."""

    keep: dict[str, np.ndarray]
    sums: SiteSums


def _nothing_done(layer: int) -> Done | None:
    return None


@dataclasses.dataclass
class PrunedBlock:
    """One block when it is done.

    Attributes:
      layer: its index.
      params: its parameters on the host in their stored dtype, dropped weights +0.
      keep: kernel path → bool [in, out], True = kept.
      sums: role → site → Σ X², float32 [D_site]; empty for criteria without statistics.
      seconds: by stage: read, statistics, select, forward.
    """

    layer: int
    params: dict[str, Any]
    keep: dict[str, np.ndarray]
    sums: SiteSums
    seconds: dict[str, float]

    @functools.cached_property
    def kept(self) -> dict[str, tuple[int, int]]:
        """(kept weights, all weights) of each kernel."""
        return {path: (int(mask.sum()), mask.size) for path, mask in self.keep.items()}


@dataclasses.dataclass(frozen=True)
class PruneResult:
    """What `prune` returns: everything in memory.

    Attributes:
      params: parallel to `model.params`, on the host, dropped weights +0.
      masks: {"blocks": {… kernel: bool [L, in, out]}}.
      stats: statistics that the masks came from, or None.
      report: sparsity, tokens and seconds by stage.
    """

    params: dict[str, Any]
    masks: dict[str, Any]
    stats: ActivationStats | None
    report: dict[str, Any]


def prune(
    model: Model, batches: Sequence[Batch] = (), *, mesh: Mesh | None = None, rows: int = ROWS,
    progress: bool = True, **settings: Any,
) -> PruneResult:  # fmt: skip
    """Prunes a model that fits into memory; `prune_blocks` is the same, one block at a time.

    Args:
      model: is left as it was.
      batches: calibration samples; none for the criteria "magnitude" and "random".
      mesh: devices; all by default. Masks do not depend on it.
      rows: samples that a device takes at a time.
      progress: show a bar.
      settings: fields of `Settings`.

    Raises:
      InputError: a non-finite activation (names layer and site), settings that do not fit.
    """
    chosen = Settings(**settings)
    done = list(prune_blocks(model, batches, chosen, mesh=mesh, rows=rows, progress=progress))
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *[block.params for block in done])
    keep = {path: np.stack([block.keep[path] for block in done]) for path in done[0].keep}
    masks = {"blocks": unflatten_dict(keep, sep="/")}
    params = {**model.params, "blocks": stacked}
    stats = None
    counts = token_counts(batches) if chosen.needs_statistics else {}
    if chosen.needs_statistics:
        stats = stack([block.sums for block in done], counts, model.config)
    report = summarise([b.kept for b in done], [b.seconds for b in done], counts)
    return PruneResult(params, masks, stats, report)


def prune_blocks(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    mesh: Mesh | None = None,
    rows: int = ROWS,
    progress: bool = True,
    stats: ActivationStats | None = None,
    done: Callable[[int], Done | None] = _nothing_done,
) -> Generator[PrunedBlock, None, None]:
    """Prunes block after block and hands each over; holds one block's weights and the hidden states.

    Arguments and errors are those of `prune`, and:

    Args:
      stats: what `probe` found for these batches. With propagate="dense" they take the place of the
        pass; the masks have the same bits.
      done: what is known of a layer; it is then not selected again, and only passes run that the layers above need.

    Raises:
      InputError: statistics with another propagate, which depends on what was pruned below.
    """
    mesh = mesh or device_mesh()
    pieces = None
    if stats is not None and settings.propagate != "dense":
        raise InputError(f"stats: propagate is {settings.propagate!r}; allowed: dense, with stats")
    if settings.needs_statistics:
        settings.check_roles({batch.role for batch in batches} if stats is None else stats.roles)
        pieces = start(model, batches, mesh, rows) if stats is None else None
    tokens = sum(token_counts(batches).values())
    layers = model.config.n_layers

    with progress_bar("prune", layers, tokens, progress) as bar:
        clock = Clock()
        for layer, (host, params) in enumerate(blocks(model, settings.dtype, mesh)):
            known = done(layer)
            clock.lap("read")
            if pieces is not None:
                keep, sums = _prune_one(model, params, pieces, settings, layer, clock, known)
            elif known is not None:
                keep, sums = known
            else:
                sums = {} if stats is None else _sums_of(stats, layer)
                keep = block_masks.select(model.config, params, sums, SITES, settings, layer, mesh)
                clock.lap("select")
            yield PrunedBlock(layer, block_masks.zero_dropped(host, keep), keep, sums, clock.take())
            bar.update()


def _sums_of(stats: ActivationStats, layer: int) -> SiteSums:
    return {
        role: {site: sums[layer] for site, sums in sites.items()}
        for role, sites in stats.sum_sq.items()
    }


def _prune_one(
    model: Model,
    params: Any,
    pieces: Samples,
    settings: Settings,
    layer: int,
    clock: Clock,
    known: Done | None,
) -> Done:
    """One block through all steps of the chosen propagation; leaves its output in `pieces`."""
    sums: SiteSums = {}
    keep: dict[str, np.ndarray] = {}
    last = layer + 1 == model.config.n_layers
    for step in PROPAGATIONS[settings.propagate].steps:
        if last and not step.segment.collect:
            break  # nothing reads the output of the last block
        if known is None or step.segment.advance:
            new = collect(params, pieces, step.segment, model.config, layer)
            clock.lap("statistics" if step.segment.collect else "forward")
            for role, sites in new.items():
                sums.setdefault(role, {}).update(sites)
        if step.prunes:
            if known is None:
                more = block_masks.select(
                    model.config, params, sums, step.prunes, settings, layer, pieces.mesh
                )
            else:
                more = {
                    path: known.keep[path]
                    for path in block_masks.kernels(model.config, step.prunes)
                }
            keep |= more
            params = block_masks.drop(params, more)
            clock.lap("select")
    return Done(keep, sums) if known is None else known
