"""Parameters, masks and a loss → the parameters with the lowest loss on held-out samples."""

import collections
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxprune.base.errors import InputError
from jaxprune.base.files.arrays import read_npz, write_npz
from jaxprune.base.progress import PassBar
from jaxprune.devices import hosts
from jaxprune.devices.memory import release_freed
from jaxprune.devices.sharding import replicated
from jaxprune.models.trees import MaskTree
from jaxprune.recovery.config import RecoveryFields
from jaxprune.recovery.steps import Loss, Unit, gradient_of, mean_loss, optimizer, step, tokens_of

# Epochs without a lower loss on the held-out samples after which fitting ends.
PATIENCE = 2


def cut(rows: Unit, size: int) -> list[Unit]:
    """Rows in units of `size`, without units of pads: the same ones on any number of devices."""
    starts = range(0, len(rows.valid), size)
    units = [jax.tree.map(lambda leaf, i=i: leaf[i : i + size], rows) for i in starts]
    return [unit for unit in units if unit.valid.any()]


class Fit(NamedTuple):
    """Fitted parameters.

    Attributes:
      params: float32 masters, on the host.
      before, after: loss on the held-out samples.
      epochs: passes over the other samples until these parameters; 0 if no pass made the loss smaller.
    """

    params: Any
    before: float
    after: float
    epochs: int


def fit(
    params: Any,
    keep: MaskTree,
    units: Sequence[Unit],
    loss: Loss,
    fields: RecoveryFields,
    seed: int,
    mesh: Mesh,
    bar: PassBar,
    saved: Path | None = None,
) -> Fit:
    """Minimises a loss; the masters with the lowest one on the held-out units are the result.

    Ends after `PATIENCE` epochs in a row without a lower loss.

    Args:
      params: parameters on the host, stacked over blocks, [blocks, ...].
      keep: masks of some of them; dropped weights stay +0.
      units: rows, one unit for a device at a time.
      seed: seed of the choice of held-out units and of the order of the others.
      bar: advances by all steps of the epochs, also where the fit ends early, and shows the loss after each epoch.
      saved: file of the state between two epochs, from which an interrupted fit resumes with the same bits; None to
        keep none.

    Raises:
      InputError: the loss is not finite, or the file of the state is damaged.
    """
    release_freed()  # of the forward passes
    rng = np.random.default_rng(seed)
    held_out, fitted_units = _split(units, fields.held_out, rng)
    size = _units_of_step(units, fields)
    steps = fields.epochs * steps_of(units, fields, seed)
    adamw = optimizer(fields.learning_rate, steps)
    everywhere = replicated(mesh)
    params = jax.tree.map(lambda leaf: leaf.astype(np.float32, copy=False), params)
    masters, keep = jax.device_put((params, keep), everywhere, may_alias=False)
    state = jax.device_put(adamw.init(masters), everywhere)
    initial = mean_loss(loss, masters, held_out, mesh)
    if not np.isfinite(initial):
        raise InputError(f"{loss.where}the loss of recovery is not finite; an activation overflows")
    best, finished_epochs = Fit(params, initial, initial, 0), 0
    if saved is not None and saved.is_file():
        (masters, state), best, last = _restored(saved, ((masters, state), best, finished_epochs))
        masters, state = jax.device_put((masters, state), everywhere)
        finished_epochs = int(last)
        best = Fit(best.params, initial, float(best.after), int(best.epochs))
    for epoch in range(1, fields.epochs + 1):
        release_freed()  # of compilation, and of the epoch before
        batches = [*_batches(fitted_units, size, rng)]
        if epoch <= finished_epochs:
            bar.update(len(batches))
            continue
        if epoch - 1 - best.epochs >= PATIENCE:
            bar.update((fields.epochs - epoch + 1) * len(batches))
            break
        for batch in batches:
            gradient = gradient_of(loss, masters, batch, mesh)
            scale = np.float32(loss.scale / tokens_of(batch))
            masters, state = step(masters, state, gradient, scale, keep, optimizer=adamw, mesh=mesh)
            del gradient  # as large as the masters: not beside the next one
            bar.update()
        current = mean_loss(loss, masters, held_out, mesh)
        bar.show(f"{loss.where}loss {initial:.4f} → {current:.4f}")
        if current < best.after:
            best = Fit(jax.tree.map(np.array, masters), initial, current, epoch)
        if saved is not None and hosts.is_first():  # all processes have the same
            write_npz(saved, _stored(((masters, state), best, epoch)))
    return best


def steps_of(units: Sequence[Unit], fields: RecoveryFields, seed: int) -> int:
    """The number of steps of an epoch."""
    _, fitted_units = _split(units, fields.held_out, np.random.default_rng(seed))
    lengths = collections.Counter(unit.valid.shape[1] for unit in fitted_units)
    return sum(-(-count // _units_of_step(units, fields)) for count in lengths.values())


def _units_of_step(units: Sequence[Unit], fields: RecoveryFields) -> int:
    return max(1, fields.batch // len(units[0].valid))


def _split(
    units: Sequence[Unit], share: float, rng: np.random.Generator
) -> tuple[list[Unit], list[Unit]]:
    """(held-out units, the others)."""
    order = rng.permutation(len(units))
    held_out = min(max(1, round(share * len(units))), len(units) - 1)
    return [units[i] for i in order[:held_out]], [units[i] for i in sorted(order[held_out:])]


def _batches(
    units: Sequence[Unit], size: int, rng: np.random.Generator
) -> Iterator[Sequence[Unit]]:
    """The units in random order, in batches of equal length."""
    batches: list[Sequence[Unit]] = []
    for length in sorted({unit.valid.shape[1] for unit in units}):
        alike = [unit for unit in units if unit.valid.shape[1] == length]
        mixed = [alike[i] for i in rng.permutation(len(alike))]
        batches += [mixed[i : i + size] for i in range(0, len(mixed), size)]
    return (batches[i] for i in rng.permutation(len(batches)))


def _stored(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by their numbers."""
    return {str(number): np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(tree))}


def _restored(file: Path, like: Any) -> Any:
    """A tree like another one, from the file of its leaves."""
    leaves = read_npz(file)
    values = [leaves[str(number)] for number in range(len(leaves))]
    return jax.tree.unflatten(jax.tree.structure(like), values)
