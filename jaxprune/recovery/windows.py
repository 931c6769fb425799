"""Recovery by windows of consecutive blocks: dense outputs → fitted window → the inputs of the next one.

A window is fitted to the hidden states of the dense model after it: the loss is the squared error over real tokens,
relative to the variance of the dense states. With `distil` it is fitted to the dense model's predictions, through the
blocks above, which are as before their own fit: each step lowers the loss of the whole model. Windows may overlap: a
block that two of them contain begins the second fit as the first one left it, and is finished by the last window that
contains it.
"""

import copy
import itertools
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Bool, Float

from jaxprune.base.files.arrays import read_npz, write_npz
from jaxprune.base.progress import Clock, PassBar, progress_bar
from jaxprune.devices import hosts
from jaxprune.devices.memory import release_freed
from jaxprune.devices.sharding import block_shares, replicated
from jaxprune.models.config import ModelConfig
from jaxprune.models.pruned_block import pruned_params
from jaxprune.recovery.config import DISTIL
from jaxprune.recovery.fit import Fit, cut, fit, steps_of
from jaxprune.recovery.predictions import (
    Predictions,
    dense_predictions,
    divergence_of_unit,
    prediction_units,
)
from jaxprune.recovery.stacked import Records, Start, finished_layers, run_blocks, start_of
from jaxprune.recovery.steps import Loss
from jaxprune.recovery.task import Task
from jaxprune.stats.blocks import blocks, converted
from jaxprune.stats.finished import PrunedBlock
from jaxprune.stats.micro_batches import MicroBatches
from jaxprune.stats.states import CalibrationStates, run_and_measure
from jaxprune.stats.walk import WHOLE_BLOCK

# Masters of blocks that the window before has fitted, [blocks, ...] by path.
Overlap = Mapping[str, np.ndarray]


def recover_by_window(task: Task) -> Generator[PrunedBlock, None, None]:
    """Recovers and yields the blocks of a model in order; the first block that a window finishes has its loss.

    The inputs of a window come from the recovered blocks below, so it also corrects their errors. Only its blocks,
    their gradients and moments are in memory, with `distil` also all blocks as stored. Embedding, final norm and head
    remain those of the model.
    """
    layers, clock = task.config.n_layers, Clock()
    dense = task.samples()
    recovered = copy.copy(dense)  # from the same inputs of the first block
    recovered.states = [*dense.states]
    clock.lap("read")
    targets: CalibrationStates | Predictions = dense
    overlap: Overlap | None = None
    steps = task.fields.epochs * steps_of(units_of(dense, dense), task.fields, task.seed)
    with progress_bar("recover", steps * len(task.windows), 0, task.progress, unit="steps") as bar:
        teacher, position = _dense_layers(task, dense, clock, bar), 0
        if task.fields.how == DISTIL:
            _advance(teacher, task.teacher.config.n_layers)
            targets = dense_predictions(task, dense, bar.show)
            dense.states.clear()  # nothing else reads the outputs of the last layer
        for window, final in task.windows:
            end = task.ends[window.stop - 1]
            _advance(teacher, end - position)
            position = end
            done = [task.finished(layer) for layer in final]
            if None in done:
                start = start_of(task, window)
                units, loss = _targets(task, window, start, recovered, targets)
                clock.lap("forward")
                bar.show("")
                overlap = _kept(task, window) if overlap is None else overlap
                fitted = fit(
                    _begun(start.params, overlap), start.keep, units, loss, task.fields, task.seed,
                    task.mesh, bar, task.saved if len(window) == layers else None,
                )  # fmt: skip
                overlap = _overlap(task, window, final, fitted)
                done = [*finished_layers(task, final, start, fitted)]
                del start, units, loss, fitted  # large: not beside those of the next window
                release_freed()
                clock.lap("recover")
            else:
                bar.update(steps)
            for layer in final:
                result = done.pop(0)
                assert result is not None
                host = task.model.block(layer)
                block = pruned_params(host, result.keep, result.changed)
                if final.stop < layers:
                    params = jax.device_put(
                        converted(block, task.dtype), block_shares(host, task.mesh)
                    )
                    run_and_measure(params, recovered, WHOLE_BLOCK, (), task.config, layer)
                    clock.lap("forward")
                yield PrunedBlock(layer, block, result, clock.take())


def _dense_layers(
    task: Task, dense: CalibrationStates, clock: Clock, bar: PassBar
) -> Iterator[int]:
    """Runs the dense model's layers on `dense`, and yields the number of each when it has run."""
    config = task.teacher.config_in(task.dtype)
    for layer, (_, params) in enumerate(blocks(task.teacher, task.dtype, task.mesh)):
        clock.lap("read")
        run_and_measure(params, dense, WHOLE_BLOCK, (), config, layer)
        clock.lap("forward")
        bar.show(f"dense model: {layer + 1} of {config.n_layers} layers")
        yield layer


def _advance(layers: Iterator[int], count: int) -> None:
    for _ in itertools.islice(layers, count):
        pass


def _targets(
    task: Task,
    window: range,
    start: Start,
    inputs: CalibrationStates,
    targets: CalibrationStates | Predictions,
) -> tuple[Sequence[Any], Loss]:
    """The units and the loss of a window, from its inputs and the dense outputs of its last block, or predictions."""
    everywhere, layers = replicated(task.mesh), task.config.n_layers
    fixed = jax.device_put(start.fixed, everywhere)
    ends = "-".join(map(str, dict.fromkeys((window.start, window.stop - 1))))
    where = "" if len(window) == layers else f"layer {ends}: "
    if not isinstance(targets, Predictions):
        units = units_of(inputs, targets)
        scale = 1 / variance(units)
        return units, Loss(squared_error, fixed, task.config, task.dtype, scale, where)
    above = None
    if targets.blocks is not None:
        are_above = jax.device_put(np.arange(layers) >= window.stop, everywhere)
        above = targets.blocks, are_above
    fixed_arrays = fixed, targets.head, above
    return prediction_units(task, inputs, targets), Loss(
        divergence_of_unit, fixed_arrays, task.config, task.dtype, where=where
    )


def _begun(params: Any, overlap: Overlap) -> Any:
    """The parameters of a window, of which the window before has fitted the first blocks."""
    flat = flatten_dict(params, sep="/")
    for path, leaf in overlap.items():
        flat[path] = np.concatenate([leaf, flat[path][len(leaf) :].astype(np.float32)])
    return unflatten_dict(flat, sep="/")


def _overlap(task: Task, window: range, final: range, fitted: Fit) -> Overlap:
    """The fitted blocks that are not finished, which a file keeps for a recovery that resumes at the next window."""
    masters = flatten_dict(fitted.params, sep="/")
    overlap = {path: leaf[len(final) :].copy() for path, leaf in masters.items()}
    following = task.saved_at(final.stop)
    if following is not None and len(final) < len(window) and hosts.is_first():
        write_npz(following, overlap)
        # the file of this window stays, as its finished blocks are not written yet
        before = task.saved_at(window.start - len(final))
        assert before is not None
        before.unlink(missing_ok=True)
    return overlap


def _kept(task: Task, window: range) -> Overlap:
    """The overlap with the window before of an interrupted recovery; empty for the first window."""
    file = task.saved_at(window.start)
    size, stride = task.fields.window(task.config.n_layers)
    return read_npz(file) if file is not None and window.start and stride < size else {}


class Unit(NamedTuple):
    """The rows of one device: inputs of a window, dense outputs of its last block, and a mask of the real tokens."""

    inputs: Float[np.ndarray, "b T D"]
    targets: Float[np.ndarray, "b T D"]
    valid: Bool[np.ndarray, "b T"]


def units_of(inputs: MicroBatches, targets: MicroBatches) -> list[Unit]:
    """The rows in units."""
    units = list[Unit]()
    for x, target, context in zip(inputs.states, targets.states, inputs.contexts, strict=True):
        rows = Unit(*map(np.asarray, (x, target, context.valid)))
        units += cut(rows, inputs.step // inputs.mesh.size)
    return units


def variance(units: Sequence[Unit]) -> float:
    """The variance of the dense outputs over real tokens, summed over features."""
    count = sum(int(unit.valid.sum()) for unit in units)
    mean = sum(_real(unit).sum(axis=0, dtype=np.float64) for unit in units) / count
    return sum(float(np.square(_real(unit) - mean).sum()) for unit in units) / count


def _real(unit: Unit) -> Float[np.ndarray, "n D"]:
    return unit.targets[unit.valid]


def squared_error(
    config: ModelConfig,
    dtype: str,
    masters: Any,
    fixed: tuple[Array | None, Records],
    inputs: Array,
    targets: Array,
    valid: Array,
) -> Float[Array, ""]:
    """The sum over real tokens, with the blocks in the dtype of the products."""
    outputs = run_blocks(config, dtype, masters, fixed, inputs)
    return jnp.sum(jnp.where(valid[..., None], jnp.square(outputs - targets), 0))
