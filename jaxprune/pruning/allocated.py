"""Model, settings and samples → the share to drop of each kernel of each block."""

import fnmatch
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.base.errors import InputError, invalid_value, shown
from jaxprune.base.progress import progress_bar
from jaxprune.base.schema import is_number
from jaxprune.data.batches import Batch, SetKey, set_tokens
from jaxprune.devices import hosts
from jaxprune.devices.compiled import compiled
from jaxprune.devices.sharding import given_mesh
from jaxprune.hf.model import Model
from jaxprune.models.config import ModelConfig
from jaxprune.models.model import family_of, kernel_shapes
from jaxprune.pruning.allocations.allocation import Blocks
from jaxprune.pruning.criterion import CODE, Criterion
from jaxprune.pruning.method import Method
from jaxprune.pruning.propagation import PROPAGATIONS
from jaxprune.pruning.settings import Settings
from jaxprune.stats.blocks import blocks
from jaxprune.stats.probe import SAMPLES_PER_DEVICE
from jaxprune.stats.states import calibration_states, run_and_measure
from jaxprune.stats.statistics import SQUARES
from jaxprune.stats.stats import ActivationStats, Sums, combined

_NEAR = 1e-6  # of the overall sparsity
_KERNEL = "/kernel"


def measure_blocks(
    model: Model,
    batches: Sequence[Batch],
    settings: Settings,
    *,
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    stats: ActivationStats | None = None,
) -> list[Any]:
    """A number for each block of the dense model, from which the allocation of `settings` computes its shares.

    Takes a pass over the blocks, and through them if the allocation reads norms: the same pass that
    propagate="dense" makes again, unless `stats` are given. Empty for allocations that measure nothing.

    Args:
      model, batches, settings, mesh, samples_per_device, progress: as in `prune_blocks`.
      stats: the result of `probe` for these batches, in place of the pass.

    Raises:
      InputError: as `probe`; a number is not finite.
    """
    allocation, mesh = settings.resolved_allocation, given_mesh(mesh)
    ignored_kernels(model.config, settings.ignored)  # rejects a wrong pattern before the pass
    if allocation.measure_model is not None:
        if allocation.reads_samples and not batches:
            raise InputError(
                f"allocation: got {allocation.name}, which reads samples; expected another, with saved statistics"
            )
        result = allocation.measure_model(model, batches, settings, mesh=mesh, progress=progress)
        return list(hosts.gather_json(result)[0])
    if allocation.measure is None:
        return []
    states, tokens = None, set_tokens(batches) if stats is None else dict(stats.tokens)
    if allocation.reads_samples and stats is None:
        states = calibration_states(model, batches, mesh, samples_per_device, settings.dtype)
    config, segment = model.config_in(settings.dtype), PROPAGATIONS["dense"].steps[0].segment
    kernel_sites, measures = family_of(config).sites, list[float]()
    with progress_bar("allocate", config.n_layers, sum(tokens.values()), progress) as bar:
        for layer, (_, params) in enumerate(blocks(model, settings.dtype, mesh)):
            sums: Sums = {} if stats is None else stats.layer(layer)
            if states is not None:
                sums = run_and_measure(params, states, segment, (SQUARES,), config, layer)
            kernels = {path: flatten_dict(params, sep="/")[path] for path in kernel_sites}
            norms = _norms(settings, sums, tokens, kernel_sites) if allocation.reads_samples else {}
            # on one device: a sum over a kernel must not depend on their number
            on_device = jax.device_put((kernels, norms), mesh.devices.flat[0])
            number = np.asarray(_measured(*on_device, measure=allocation.measure))
            if number.shape or not np.isfinite(number):
                where = f"layer {layer}: allocation {allocation.name}"
                raise invalid_value(where, number, "a finite number")
            measures.append(float(number))
            bar.update()
    agreed: list[float] = hosts.gather_json(measures)[0]
    return agreed


def _norms(
    settings: Settings, sums: Sums, tokens: Mapping[SetKey, int], kernel_sites: Mapping[str, str]
) -> dict[str, Float[np.ndarray, " in"]]:
    """The norms of the inputs of each kernel; kernels that read one site share them."""
    keys = [key for key in sums if key.kind != CODE]
    by_site = {
        site: np.sqrt(combined(settings.mixture, sums, tokens, keys, site, SQUARES.name))
        for site in dict.fromkeys(kernel_sites.values())
    }
    return {path: by_site[site] for path, site in kernel_sites.items()}


@functools.partial(compiled, static_argnames="measure")
def _measured(
    kernels: Mapping[str, Array], norms: Mapping[str, Array], *, measure: Callable[..., Array]
) -> Array:
    return measure(kernels, norms)


def ignored_kernels(config: ModelConfig, patterns: Sequence[str]) -> list[str]:
    """The kernels that match a pattern, as "LAYER/kernel", such as "0/mlp/down".

    Raises:
      InputError: a pattern matches none, or all match.
    """
    kernels = [path.removesuffix(_KERNEL) for path in kernel_shapes(config)]
    names = [f"{layer}/{kernel}" for layer in range(config.n_layers) for kernel in kernels]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            allowed = f"patterns that match a kernel, such as {names[-1]}; a block has "
            raise invalid_value("ignore", pattern, allowed + ", ".join(kernels))
    ignored = [name for name in names if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    if len(ignored) == len(names):
        raise InputError(f"ignore: {', '.join(patterns)} match all kernels; expected some")
    return ignored


def kernel_shares(
    config: ModelConfig, settings: Settings, measured: Sequence[Any] = ()
) -> list[dict[str, float]]:
    """The share of each kernel's weights to drop, by layer and path; ignored kernels have none.

    Args:
      config: config of the model.
      settings: `sparsity` is the share of all kernels that are not ignored.
      measured: the result of `measure_blocks`.

    Raises:
      InputError: the allocation returns an invalid share, other layers or kernels, or another overall sparsity; see
        also `ignored_kernels`.
    """
    allocation, ignored = settings.resolved_allocation, {*ignored_kernels(config, settings.ignored)}
    kernels = {p.removesuffix(_KERNEL): math.prod(s) for p, s in kernel_shapes(config).items()}
    sizes = [
        {name: size for name, size in kernels.items() if f"{layer}/{name}" not in ignored}
        for layer in range(config.n_layers)
    ]
    totals, sparsity = [sum(layer.values()) for layer in sizes], settings.implied_sparsity
    model_blocks = Blocks(totals, sparsity, measured, settings.slope or 0.0, sizes)
    by_block, where = list(allocation.shares(model_blocks)), f"allocation {allocation.name}"
    shares = [s if isinstance(s, Mapping) else dict.fromkeys(kernels, s) for s in by_block]
    for layer, by_kernel in enumerate(shares):
        if {*by_kernel} != {*kernels}:
            raise InputError(
                f"{where}: layer {layer}: got {shown([*by_kernel])}; expected a share, or one of each of "
                f"{', '.join(kernels)}"
            )
    values = [s[name] for s, names in zip(shares, sizes, strict=False) for name in names]
    if len(by_block) != len(sizes) or not all(is_number(s) and 0 <= s < 1 for s in values):
        raise InputError(
            f"{where}: got {shown(by_block)}; expected {len(sizes)} shares s with 0 <= s < 1, one a block"
        )
    dropped = sum(
        s[name] * n for s, counts in zip(shares, sizes, strict=True) for name, n in counts.items()
    )
    if not math.isclose(overall := dropped / sum(totals), sparsity, abs_tol=_NEAR):
        raise InputError(
            f"{where}: drops {overall:.6g} of all weights; expected {sparsity:g}, the sparsity"
        )
    return [
        {f"{name}{_KERNEL}": float(s[name]) for name in names}
        for s, names in zip(shares, sizes, strict=True)
    ]


def kernel_methods(
    model: Model, settings: Settings, measured: Sequence[Any] = ()
) -> Sequence[Mapping[str, Method | Criterion]]:
    """The method of each kernel, by layer and path.

    Args:
      measured: the result of `measure_blocks`.
    """
    if settings.resolved_allocation.methods is not None:
        return settings.resolved_allocation.methods(model, measured)
    by_path = dict.fromkeys(kernel_shapes(model.config), settings.method)
    return [by_path] * model.config.n_layers


def layer_shares(config: ModelConfig, shares: Sequence[Mapping[str, float]]) -> list[float]:
    """The share of each layer, from `kernel_shares`; ignored kernels count as kept."""
    sizes = {path: math.prod(shape) for path, shape in kernel_shapes(config).items()}
    whole = sum(sizes.values())
    return [sum(share * sizes[p] for p, share in layer.items()) / whole for layer in shares]
