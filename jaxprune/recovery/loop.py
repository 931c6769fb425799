"""Recovery block by block: dense outputs → fitted block → the next block's input."""

import copy
from collections.abc import Callable, Generator, Sequence

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import Mesh

from jaxprune.calibration import Batch
from jaxprune.devices import given_mesh
from jaxprune.errors import InputError
from jaxprune.hf import Model, aligned_cast, check_model
from jaxprune.models import BlockParams, layer_kind
from jaxprune.passes import (
    SAMPLES_PER_DEVICE,
    WHOLE_BLOCK,
    blocks,
    calibration_states,
    check_samples,
    run_and_measure,
)
from jaxprune.progress import Clock, progress_bar
from jaxprune.pruning import FinishedLayer, PrunedBlock, pruned_params, put_back
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.fit import fit, units_of


def recover_blocks(
    model: Model,
    batches: Sequence[Batch],
    pruned: Callable[[int], FinishedLayer],
    fields: RecoveryFields,
    *,
    dtype: str = "float32",
    seed: int = 0,
    mesh: Mesh | None = None,
    samples_per_device: int = SAMPLES_PER_DEVICE,
    progress: bool = True,
    finished: Callable[[int], FinishedLayer | None] = lambda layer: None,
) -> Generator[PrunedBlock, None, None]:
    """Recovers and yields the blocks of a pruned model in order.

    A block is fitted to the outputs of the dense block within the dense model; its inputs come from the recovered
    blocks below, so it also corrects their errors.

    Args:
      model: the dense model.
      batches: samples, of which `fields.held_out` decide when a block is done.
      pruned: the result of pruning a layer.
      dtype, seed, mesh, samples_per_device, progress: see `recover`.
      finished: the result of an earlier recovery for a layer, or None.

    Raises:
      InputError: see `recover`.
    """
    check_model(model)
    check_samples(batches, samples_per_device)
    units = sum(-(-len(batch.tokens) // samples_per_device) for batch in batches)
    if units < 2:
        raise InputError(
            "calibration.samples: too few for recovery, which also holds out some; allowed: more"
        )
    if jax.process_count() > 1:
        raise InputError(
            f"recovery: got {jax.process_count()} processes; allowed: one, with any devices"
        )
    mesh, config = given_mesh(mesh), model.config.in_dtype(dtype)
    dense = calibration_states(model, batches, mesh, samples_per_device, dtype)
    recovered = copy.copy(dense)  # from the same inputs of the first block
    recovered.states = [*dense.states]
    with progress_bar("recover", config.n_layers, 0, progress) as bar:
        clock = Clock()
        for layer, (host, params) in enumerate(blocks(model, dtype, mesh)):
            done = finished(layer)
            clock.lap("read")
            run_and_measure(params, dense, WHOLE_BLOCK, (), config, layer)
            clock.lap("forward")
            if done is None:
                start = pruned(layer)
                before = pruned_params(host, start.keep, start.changed)
                fitted = fit(
                    before, unflatten_dict(start.keep, sep="/"), units_of(recovered, dense),
                    layer_kind(config, layer), fields, config, dtype, seed, mesh, bar.show,
                )  # fmt: skip
                loss = fitted.before, fitted.after
                if not np.isfinite(fitted.before):
                    raise InputError(
                        f"layer {layer}: the loss of recovery is not finite; an activation overflows"
                    )
                changed = _changed(host, fitted.params)
                done = FinishedLayer(start.keep, changed, {}, {}, loss)
                clock.lap("recover")
            if layer + 1 < config.n_layers:
                params = put_back(params, done.keep, done.changed, dtype)
                run_and_measure(params, recovered, WHOLE_BLOCK, (), config, layer)
                clock.lap("forward")
            yield PrunedBlock(
                layer, pruned_params(host, done.keep, done.changed), done, clock.take()
            )
            bar.update()


def _changed(stored: BlockParams, masters: BlockParams) -> dict[str, np.ndarray]:
    """The masters rounded to the dtypes of the stored block, by path."""
    dtypes = {path: leaf.dtype for path, leaf in flatten_dict(dict(stored), sep="/").items()}
    flat = flatten_dict(masters, sep="/")
    return {path: aligned_cast(leaf, dtypes[path]) for path, leaf in flat.items()}
