"""The paper's loop (section 3.2): block by block, statistics → scores → masks → pruned block → next block's input."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import unflatten_dict
from jax.sharding import Mesh

from jaxprune.calibration import Batch, language_counts, token_counts
from jaxprune.devices import given_mesh
from jaxprune.errors import InputError, refusal
from jaxprune.hf import Model, check_model, stack_layers
from jaxprune.models import SITES, BlockParams, MaskTree, Params
from jaxprune.passes import (
    SAMPLES_PER_DEVICE,
    ActivationStats,
    CalibrationStates,
    SiteSums,
    blocks,
    calibration_states,
    check_samples,
    check_sums,
    run_and_measure,
    stack,
)
from jaxprune.progress import Clock, progress_bar
from jaxprune.pruning import block_masks
from jaxprune.pruning.criterion import Criterion, Function
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.pruning.summary import summarise


class FinishedLayer(NamedTuple):
    """What an earlier run kept of a layer: `PrunedBlock.keep` and `.sums`."""

    keep: dict[str, np.ndarray]
    sums: SiteSums


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
    params: BlockParams
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

    params: Params
    masks: MaskTree
    stats: ActivationStats | None
    report: dict[str, Any]


def prune(
    model: Model,
    batches: Sequence[Batch] = (),
    *,
    criterion: str | Criterion | Function = "wanda",
    sparsity: float | None = None,
    pattern: str = "unstructured",
    threshold: str = "row",
    drop: str = "lowest",
    propagate: str = "block",
    compat: str = "corrected",
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
) -> PruneResult:
    """Prunes a model that fits into memory (section 3.2); `prune_blocks` is the same, one block at a time.

    Args:
      model: is left as it was.
      batches: calibration samples; none for criteria without statistics.
      criterion: how weights are scored: "wanda", "refined", "magnitude", "random", a function from a kernel, float32
        [in, out], and the norms of its inputs on the samples, float32 [in], to scores [in, out], or a `Criterion`.
        The lowest scores of a column go first.
      sparsity: share of each output column to drop, 0 <= s < 1; 0.3 by default, or what the pattern implies.
      pattern: "unstructured", or N:M such as "2:4": keep N of every M.
      threshold: "row", or "variant" for Wanda's cumulative threshold.
      drop: "lowest", or "highest" for the ablation.
      propagate: what feeds the next statistics: outputs of pruned blocks ("block"), of the dense model ("dense"), or
        of pruned layers ("site").
      compat: "official" does what the authors' code does where that differs from their paper.
      seed: of random masks.
      dtype: "float32" or "bfloat16", of the weights on the device; kept weights stay bit for bit as stored.
      mesh: devices; all by default. Masks do not depend on it.
      samples_per_device: how many a device takes at a time.
      progress: show a bar.

    Raises:
      InputError: a non-finite activation or a site without any (names layer and site), a parameter that holds NaN or
        infinity, settings that do not fit, scores that are no array of the kernel's shape, batches that are none, an
        argument that there is not.

    Example:
      >>> import jaxprune as jp
      >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> result = jp.prune(model, batches, sparsity=0.5, progress=False)
      >>> jp.masks.density(result.masks).overall
      0.5

      With a criterion of one's own, here Wanda's with the square root of the norms:

      >>> def softer(kernel, norm):
      ...     return abs(kernel) * norm[:, None] ** 0.5
      >>> other = jp.prune(model, batches, criterion=softer, sparsity=0.5, progress=False)
      >>> jp.masks.overlap(result.masks, other.masks).overall < 1
      True
    """
    settings = Settings(
        criterion=criterion, sparsity=sparsity, pattern=pattern, threshold=threshold, drop=drop,
        propagate=propagate, compat=compat, seed=seed, dtype=dtype,
    )  # fmt: skip
    blocks = list(
        prune_blocks(
            model,
            batches,
            settings,
            mesh=mesh,
            samples_per_device=samples_per_device,
            progress=progress,
        )
    )
    keep = {path: np.stack([block.keep[path] for block in blocks]) for path in blocks[0].keep}
    stacked = stack_layers([block.params for block in blocks])
    stats, counts = None, {}
    if settings.needs_statistics:
        counts = token_counts(batches)
        sums = [block.sums for block in blocks]
        stats = stack(sums, counts, model.config, language_counts(batches))
    return PruneResult(
        params={**model.params, "blocks": stacked},
        masks={"blocks": unflatten_dict(keep, sep="/")},
        stats=stats,
        report=summarise([b.kept for b in blocks], [b.seconds for b in blocks], counts),
    )


def prune_blocks(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    stats: ActivationStats | None = None,
    finished: Callable[[int], FinishedLayer | None] = lambda layer: None,
) -> Generator[PrunedBlock, None, None]:
    """Prunes block after block and hands each over; holds one block's weights and the hidden states.

    Arguments and errors are those of `prune`, and:

    Args:
      stats: what `probe` found for these batches. With propagate="dense" they take the place of the
        pass; the masks have the same bits.
      finished: what an earlier run kept of a layer. It is then not selected again, and only those passes run that
        the layers above need.

    Raises:
      InputError: statistics with another propagate, which depends on what was pruned below, or of another depth.

    Example:
      >>> import jaxprune as jp
      >>> model = jp.load("jaxprune/nano/checkpoints/bloom")
      >>> settings = jp.Settings(criterion="magnitude", pattern="2:4")
      >>> for block in jp.prune_blocks(model, [], settings, progress=False):
      ...     print(block.layer, block.kept["mlp/up/kernel"])  # kept, all
      0 (32768, 65536)
      1 (32768, 65536)
      2 (32768, 65536)
      3 (32768, 65536)
    """
    check_model(model)
    check_samples(batches, samples_per_device)
    if not isinstance(settings, Settings):
        raise refusal("settings", settings, "Settings")
    mesh = given_mesh(mesh)
    states = None
    if stats is not None:
        _check_stats(stats, settings, model.config.n_layers)
    if settings.needs_statistics:
        settings.check_roles({batch.role for batch in batches} if stats is None else stats.roles)
        if stats is None:
            states = calibration_states(model, batches, mesh, samples_per_device, settings.dtype)
    tokens = sum(token_counts(batches).values())

    with progress_bar("prune", model.config.n_layers, tokens, progress) as bar:
        clock = Clock()
        for layer, (host, params) in enumerate(blocks(model, settings.dtype, mesh)):
            known = finished(layer)
            clock.lap("read")
            if states is not None:
                layer_result = _prune_one(model, params, states, settings, layer, clock, known)
            elif known is not None:
                layer_result = known
            else:
                sums = {} if stats is None else _sums_of(stats, layer)
                keep = block_masks.select(model.config, params, sums, SITES, settings, layer, mesh)
                layer_result = FinishedLayer(keep, sums)
                clock.lap("select")
            keep, sums = layer_result
            pruned = block_masks.zero_dropped(host, keep)
            yield PrunedBlock(layer, pruned, keep, sums, clock.take())
            bar.update()


def _check_stats(stats: ActivationStats, settings: Settings, n_layers: int) -> None:
    if not isinstance(stats, ActivationStats):
        raise refusal("stats", stats, "ActivationStats, as jaxprune.probe gives")
    if settings.propagate != "dense":
        raise InputError(f"stats: propagate is {settings.propagate!r}; allowed: dense, with stats")
    for role, sites in stats.sum_sq.items():
        for site, sums in sites.items():
            if len(sums) != n_layers:
                raise InputError(
                    f"stats: of {len(sums)} layers; allowed: {n_layers}, as the model has"
                )
            for layer, of_layer in enumerate(sums):
                check_sums(of_layer, layer, site, role)


def _sums_of(stats: ActivationStats, layer: int) -> SiteSums:
    return {
        role: {site: sums[layer] for site, sums in sites.items()}
        for role, sites in stats.sum_sq.items()
    }


def _prune_one(
    model: Model,
    params: BlockParams,
    states: CalibrationStates,
    settings: Settings,
    layer: int,
    clock: Clock,
    known: FinishedLayer | None,
) -> FinishedLayer:
    """One block through all steps of the chosen propagation; leaves its output in `states`."""
    sums: SiteSums = {}
    keep: dict[str, np.ndarray] = {}
    config = model.config.in_dtype(settings.dtype)
    is_last = layer + 1 == config.n_layers
    for step in PROPAGATIONS[settings.propagate].steps:
        if is_last and not step.segment.collect:
            break  # nothing reads the output of the last block
        if known is None or step.segment.advance:
            measured = run_and_measure(params, states, step.segment, config, layer)
            clock.lap("statistics" if step.segment.collect else "forward")
            for role, sites in measured.items():
                sums.setdefault(role, {}).update(sites)
        if step.prunes:
            if known is None:
                selected = block_masks.select(
                    config, params, sums, step.prunes, settings, layer, states.mesh
                )
            else:
                selected = {
                    path: known.keep[path] for path in block_masks.kernels(config, step.prunes)
                }
            keep |= selected
            params = block_masks.drop(params, selected)
            clock.lap("select")
    return FinishedLayer(keep, sums) if known is None else known
