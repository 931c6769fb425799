"""The paper's loop over blocks (section 3.2): statistics → scores → masks → pruned block → next block's input."""

import dataclasses
import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from jaxprune.base.errors import InputError, invalid_value
from jaxprune.base.progress import Clock, progress_bar
from jaxprune.data.batches import Batch, set_tokens
from jaxprune.devices.sharding import given_mesh
from jaxprune.hf.model import Model, check_model
from jaxprune.models.block import SITES
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, site_widths
from jaxprune.models.packed_masks import PackedMasks
from jaxprune.models.pruned_block import pruned_params
from jaxprune.pruning.allocated import kernel_methods, kernel_shares, measure_blocks
from jaxprune.pruning.allocations.allocation import AllocationLike
from jaxprune.pruning.block import BlockPruning, prune_kernels
from jaxprune.pruning.criterion import CODE
from jaxprune.pruning.methods import MethodLike
from jaxprune.pruning.result import PruneResult, stacked_result
from jaxprune.pruning.settings import Settings
from jaxprune.pruning.steps import pass_through
from jaxprune.stats.blocks import blocks
from jaxprune.stats.finished import FinishedLayer, PrunedBlock
from jaxprune.stats.probe import SAMPLES_PER_DEVICE, check_samples, stack
from jaxprune.stats.states import calibration_states
from jaxprune.stats.stats import ActivationStats, check_sums


def prune(
    model: Model,
    batches: Sequence[Batch] = (),
    *,
    criterion: MethodLike = "wanda",
    start: str | None = None,
    refit: bool = False,
    sparsity: float | None = None,
    pattern: str = "unstructured",
    threshold: str = "row",
    drop: str = "lowest",
    group: str = "row",
    propagate: str = "block",
    allocation: AllocationLike = "uniform",
    slope: float | None = None,
    ignore: str | None = None,
    combine: str = "sum",
    weights: Mapping[str, float] | str | None = None,
    compat: str = "corrected",
    seed: int = 0,
    dtype: str = "float32",
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
) -> PruneResult:
    """Prunes a model that fits into memory (section 3.2); `prune_blocks` yields one block at a time.

    Args:
      model: remains unchanged.
      batches: calibration samples; empty for criteria without statistics.
      criterion: the score of weights: "wanda", "ria", "refined", "magnitude", "random", a function (kernel, float32
        [in, out]; norms of its inputs on the samples, float32 [in]) → scores [in, out], or a `Criterion`: the lowest
        scores of a column are dropped first. Or a method: "sparsegpt", which also updates the kept weights, "dsnot",
        "swaps", or a `Method`.
      start: criterion of the mask with which "dsnot" and "swaps" begin; "wanda" by default.
      refit: also fit the kept weights of each kernel to its outputs on the samples, by least squares.
      sparsity: share of each output column to drop, 0 <= s < 1; 0.3 by default, or the sparsity of the pattern.
      pattern: "unstructured", or N:M such as "2:4": keep N of every M.
      threshold: "row": an exact number in each output column; or "variant": Wanda's cumulative threshold.
      drop: "lowest", or "highest" for the ablation that drops the weights with the highest scores.
      group: scores compete within an output column ("row") or within the whole kernel ("kernel").
      propagate: source of the inputs of the next statistics: outputs of pruned blocks ("block"), of the dense model
        ("dense"), or of pruned layers ("site").
      allocation: distribution of sparsity over the blocks: "uniform", "arithmetic", "owl", "alpha", "predictions",
        an `Allocation`, a function of `Blocks` that returns the share of each block, or shares by layer,
        or by layer and kernel, as a value or a .json file: {"0": 0.4, "1": {"mlp/up": 0.5, ...}}.
      slope: sparsity of the last block minus that of the first, with allocation="arithmetic".
      ignore: patterns of "LAYER/KERNEL" such as "0/*,*/mlp/down": these kernels keep all weights, and `sparsity` is
        that of the others.
      combine: combination of the statistics of several languages: "sum" of all tokens, "mean" of languages, "max" of
        languages by feature, or "weights".
      weights: weights of languages, such as {"fr": 2, "sw": 1}, with combine="weights".
      compat: "official" follows the authors' code where it differs from their paper.
      seed: seed of random masks.
      dtype: "float32" or "bfloat16", of the weights on the device; kept weights have the bits of the stored ones.
      mesh: devices; all by default. Masks do not depend on it; with methods that read Gram matrices this holds
        for 1, 2, 4 and 8.
      samples_per_device: samples of a micro-batch per device.
      progress: show a bar.

    Raises:
      InputError: an activation is not finite or all of a site are 0 (names layer and site); a parameter is NaN or
        infinite; settings are invalid or contradict each other; scores are not finite or not of the kernel's shape;
        `batches` is of another type or lacks a set that the criterion needs.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
      >>> batches = jp.demonstrations(model.tokenizer, "nano", samples=4)
      >>> result = jp.prune(model, batches, sparsity=0.5, progress=False)
      >>> jp.masks.density(result.masks).overall
      0.5

      A custom criterion, here Wanda's with the square root of the norms:

      >>> def softer(kernel, norm):
      ...     return abs(kernel) * norm[:, None] ** 0.5
      >>> other = jp.prune(model, batches, criterion=softer, sparsity=0.5, progress=False)
      >>> jp.masks.overlap(result.masks, other.masks).overall < 1
      True
    """
    settings = Settings(
        criterion=criterion, start=start, refit=refit, sparsity=sparsity, pattern=pattern, threshold=threshold,
        drop=drop, group=group, propagate=propagate, allocation=allocation, slope=slope, ignore=ignore, combine=combine,
        weights=weights, compat=compat, seed=seed, dtype=dtype,
    )  # fmt: skip
    pruned = prune_blocks(
        model, batches, settings,
        mesh=mesh, samples_per_device=samples_per_device, progress=progress,
    )  # fmt: skip
    changed = list(pruned)
    result = stacked_result(model, changed, batches if settings.needs_statistics else [])
    if not changed[0].finished.sums:
        return result
    sums = [block.finished.sums for block in changed]
    stats = stack(sums, set_tokens(batches), model, settings.dtype, settings.propagate)
    return dataclasses.replace(result, stats=stats)


def prune_blocks(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    stats: ActivationStats | None = None,
    measured: Sequence[Any] | None = None,
    masks: PackedMasks | None = None,
    finished: Callable[[int], FinishedLayer | None] = lambda layer: None,
) -> Generator[PrunedBlock, None, None]:
    """Prunes and yields the blocks in order; only one block's weights and the hidden states are in memory.

    Arguments and errors are those of `prune`, with these additions.

    Args:
      stats: the result of `probe` for these batches. It replaces the pass, with propagate="dense" only; the masks
        have the same bits, but agree within rounding if a method reads Gram matrices of several languages.
      measured: the result of `measure_blocks` for these arguments; by default it is called.
      masks: of an earlier pruning; a rounding leaves the weights at 0 that they drop.
      finished: the result of an earlier run for a layer, or None. A finished layer is not pruned again, and only the
        passes that later layers need are repeated.

    Raises:
      InputError: `stats` with another `propagate`, or of another number of layers.

    Examples:
      >>> import jaxprune as jp
      >>> model = jp.load("nano/bloom")
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
    mesh = given_mesh(mesh)
    config, states = model.config_in(settings.dtype), None
    if stats is not None:
        _check_stats(stats, settings, config)
    tokens = set_tokens(batches) if stats is None else dict(stats.tokens)
    if settings.needs_statistics:
        settings.check_roles({batch.role for batch in batches} if stats is None else stats.roles)
        languages = [key.language for key in tokens if key.kind != CODE and key.language]
        settings.mixture.check(languages)
    if measured is None:
        measured = measure_blocks(
            model, batches, settings,
            mesh=mesh, samples_per_device=samples_per_device, progress=progress, stats=stats,
        )  # fmt: skip
    shares = kernel_shares(config, settings, measured)
    methods = kernel_methods(model, settings, measured)
    if settings.method.needs and stats is None:
        states = calibration_states(
            model,
            batches,
            mesh,
            samples_per_device,
            settings.dtype,
            settings.method.statistics,
            settings.mixture,
        )

    name = "prune" if settings.implied_sparsity else "round"
    with progress_bar(name, config.n_layers, sum(tokens.values()), progress) as bar:
        clock = Clock()
        for layer, (host, params) in enumerate(blocks(model, settings.dtype, mesh)):
            earlier = finished(layer)
            clock.lap("read")
            block = BlockPruning(
                config,
                layer,
                host,
                tokens,
                shares[layer],
                settings,
                methods[layer],
                mesh,
                {} if masks is None else masks.layer(layer).unpack(),
            )
            prune_sites = functools.partial(prune_kernels, block)
            if states is not None:
                result = pass_through(block, params, earlier, prune_sites, states, clock)
            elif earlier is not None:
                result = earlier
            else:
                sums = {} if stats is None else stats.layer(layer)
                kept, changed, damping, errors = prune_sites(params=params, sums=sums, sites=SITES)
                result = FinishedLayer(kept, changed, sums, damping, errors=errors)
                clock.lap("select")
            pruned = pruned_params(host, result.keep, result.changed)
            yield PrunedBlock(layer, pruned, result, clock.take())
            bar.update()


def _check_stats(stats: ActivationStats, settings: Settings, config: ModelConfig) -> None:
    if not isinstance(stats, ActivationStats):
        raise invalid_value("stats", stats, "ActivationStats, as jaxprune.probe returns")
    if settings.propagate != "dense":
        raise InputError(f"stats: propagate is {settings.propagate!r}; expected dense, with stats")
    if stats.measured_on and stats.measured_on.propagate != "dense":
        raise invalid_value(
            "stats", stats.measured_on, "statistics of the dense model, as of jaxprune.probe"
        )
    if dict(stats.sites) != dict(family_of(config).sites):
        kernels = [path for path, _ in stats.sites]
        raise invalid_value("stats", ", ".join(kernels), f"those of a {config.family} model")
    widths = site_widths(config)
    for key, sites in stats.sums.items():
        for site in dict.fromkeys(site for _, site in stats.sites):
            by_name = sites[site]
            for statistic in settings.statistics:
                if statistic.name not in by_name:
                    got, name = f"{', '.join(by_name)} of {site}", settings.method.name
                    if statistic not in settings.method.statistics:
                        name = settings.resolved_allocation.name
                    raise invalid_value("stats", got, f"{statistic.name}, which {name} needs")
                shape, allowed = (
                    np.shape(by_name[statistic.name])[:2],
                    (config.n_layers, widths[site]),
                )
                if shape != allowed:
                    raise InputError(
                        f"stats: {site} has (layers, features) {shape}; expected {allowed}, as the model has"
                    )
                for layer, sums in enumerate(by_name[statistic.name]):
                    check_sums(sums, layer, site, key.kind, statistic.never_zero)
