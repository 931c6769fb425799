"""Parameters, masks and a loss → the parameters with the lowest loss on held-out samples.

AdamW makes its steps on float32 masters. The gradient of a step is the sum of those of its units, the rows that share a
device, in the order of the units, so the bits do not depend on the number of devices.
"""

import collections
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jaxprune.devices import by_rows, compiled, on_own_rows, product_dtype, replicated
from jaxprune.errors import InputError
from jaxprune.models import MaskTree, ModelConfig
from jaxprune.pruning import masks as mask_algebra
from jaxprune.recovery.config import RecoveryFields

# Epochs without a lower loss on the held-out samples after which fitting ends.
PATIENCE = 2

# The least root mean square to which steps are relative, for biases of zeros.
SMALLEST = 1e-3

# Rows of one device: a NamedTuple of arrays [b, T, ...], with real tokens as `valid`, bool [b, T].
Unit = Any


class Loss(NamedTuple):
    """A loss of units: its sum over their real tokens, divided by their number.

    Attributes:
      of_unit: (config, dtype of the products, masters, fixed, *unit) → float32 scalar, the sum; a static argument.
      fixed: arrays on the devices that are not fitted.
      config, dtype: of the model.
      scale: factor of the sum.
      where: before a message on it.
    """

    of_unit: Callable[..., Float[Array, ""]]
    fixed: Any
    config: ModelConfig
    dtype: str
    scale: float = 1.0
    where: str = ""


def cut(rows: Unit, size: int) -> list[Unit]:
    """Rows in units of so many, without units of pads: the same ones on any number of devices."""
    starts = range(0, len(rows.valid), size)
    units = [jax.tree.map(lambda leaf, i=i: leaf[i : i + size], rows) for i in starts]
    return [unit for unit in units if unit.valid.any()]


class Fit(NamedTuple):
    """Fitted parameters.

    Attributes:
      params: their float32 masters, on the host.
      before, after: loss on the held-out samples.
      epochs: number of passes over the others.
    """

    params: Any
    before: float
    after: float
    epochs: int


class Saved(NamedTuple):
    """The place of the state between two epochs, from which an interrupted fit goes on with the same bits.

    Attributes:
      read: returns the last state, if any.
      write: replaces it.
    """

    read: Callable[[], Mapping[str, np.ndarray] | None]
    write: Callable[[Mapping[str, np.ndarray]], None]


def fit(
    params: Any,
    keep: MaskTree,
    units: Sequence[Unit],
    loss: Loss,
    fields: RecoveryFields,
    seed: int,
    mesh: Mesh,
    show: Callable[[str], None] = lambda text: None,
    stepped: Callable[[], None] = lambda: None,
    saved: Saved | None = None,
    stacked: bool = False,
) -> Fit:
    """Minimises a loss; the masters with the lowest one on the held-out units are the result.

    Ends after `PATIENCE` epochs in a row without a lower loss.

    Args:
      params: pruned parameters, on the host.
      keep: masks of some of them; dropped weights stay +0.
      units: rows, one unit for a device at a time.
      seed: of the choice of held-out units and of the order of the others.
      show: receives a line on the loss after each epoch.
      stepped: called after each step.
      saved: where the state is kept between epochs; None to keep none.
      stacked: whether the leaves of all layers are stacked, [L, ...].

    Raises:
      InputError: the loss is not finite.
    """
    rng = np.random.default_rng(seed)
    held_out, rest = _split(units, fields.held_out, rng)
    size = _units_of_step(units, fields)
    steps = fields.epochs * steps_of(units, fields, seed)
    optimizer = _optimizer(fields.learning_rate, steps, stacked)
    everywhere = replicated(mesh)
    masters = jax.tree.map(lambda leaf: leaf.astype(np.float32), params)
    masters, keep = jax.device_put((masters, keep), everywhere)
    state = jax.device_put(optimizer.init(masters), everywhere)
    first = _mean(loss, masters, held_out, mesh)
    if not np.isfinite(first):
        raise InputError(f"{loss.where}the loss of recovery is not finite; an activation overflows")
    best, done = Fit(jax.tree.map(np.array, masters), first, first, 0), 0
    if saved is not None and (found := saved.read()):
        (masters, state), best, done = _restored(found, ((masters, state), best, done))
        masters, state = jax.device_put((masters, state), everywhere)
        best, done = Fit(best.params, first, float(best.after), int(best.epochs)), int(done)
    for epoch in range(1, fields.epochs + 1):
        batches = [*_batches(rest, size, rng)]
        if epoch <= done:
            for _ in batches:
                stepped()
            continue
        if epoch - 1 - best.epochs >= PATIENCE:
            break
        for batch in batches:
            gradient = _gradient(loss, masters, batch, mesh)
            scale = np.float32(loss.scale / _tokens(batch))
            masters, state = _step(
                masters, state, gradient, scale, keep, optimizer=optimizer, mesh=mesh
            )
            stepped()
        now = _mean(loss, masters, held_out, mesh)
        show(f"loss {first:.4f} → {now:.4f}")
        if now < best.after:
            best = Fit(jax.tree.map(np.array, masters), first, now, epoch)
        if saved is not None:
            saved.write(_stored(((masters, state), best, epoch)))
    return best


def steps_of(units: Sequence[Unit], fields: RecoveryFields, seed: int) -> int:
    """The number of steps of an epoch."""
    _, rest = _split(units, fields.held_out, np.random.default_rng(seed))
    lengths = collections.Counter(unit.valid.shape[1] for unit in rest)
    return sum(-(-count // _units_of_step(units, fields)) for count in lengths.values())


def _units_of_step(units: Sequence[Unit], fields: RecoveryFields) -> int:
    return max(1, fields.batch // len(units[0].valid))


def _split(
    units: Sequence[Unit], share: float, rng: np.random.Generator
) -> tuple[list[Unit], list[Unit]]:
    """(held-out units, the others)."""
    order = rng.permutation(len(units))
    few = max(1, round(share * len(units)))
    return [units[i] for i in order[:few]], [units[i] for i in sorted(order[few:])]


@functools.lru_cache(1)  # a static argument, equal for all blocks
def _optimizer(learning_rate: float, steps: int, stacked: bool) -> optax.GradientTransformation:
    """AdamW with steps relative to the root mean square of each tensor.

    Scales of norms differ by orders of magnitude from kernels and between layers (in Gemma 3 from 1 to 400), so
    equal steps would leave the large ones as they are.
    """
    rise = learning_rate / 10, learning_rate, steps // 10
    schedule = optax.warmup_cosine_decay_schedule(*rise, decay_steps=steps)

    def scaled(updates: Any, state: Any, params: Any) -> tuple[Any, Any]:
        def one(update: Array, leaf: Array) -> Array:
            axes = tuple(range(int(stacked), leaf.ndim))
            size = jnp.sqrt(jnp.mean(jnp.square(leaf), axes, keepdims=True))
            return update * jnp.maximum(size, SMALLEST)

        return jax.tree.map(one, updates, params), state

    relative = optax.GradientTransformation(lambda _: optax.EmptyState(), scaled)
    adam = optax.scale_by_adam(b2=0.95), optax.add_decayed_weights(1e-4)
    return optax.chain(*adam, relative, optax.scale_by_learning_rate(schedule))


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


def _micro_batches(units: Sequence[Unit], mesh: Mesh) -> Iterator[Unit]:
    """The units in order of their lengths, one for each device at a time; units of zeros fill the last ones."""
    for length in sorted({unit.valid.shape[1] for unit in units}):
        alike = [unit for unit in units if unit.valid.shape[1] == length]
        empty = jax.tree.map(np.zeros_like, alike[0])
        for start in range(0, len(alike), mesh.size):
            part = alike[start : start + mesh.size]
            part = [*part, *[empty] * (mesh.size - len(part))]
            rows = jax.tree.map(lambda *leaves: np.concatenate(leaves), *part)
            yield jax.device_put(rows, by_rows(mesh))


def _tokens(units: Sequence[Unit]) -> int:
    return sum(int(unit.valid.sum()) for unit in units)


def _mean(loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh) -> float:
    sums = list(_by_device(loss, masters, units, mesh, differentiate=False))
    return loss.scale * float(np.concatenate(sums).sum(dtype=np.float64)) / _tokens(units)


def _gradient(loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh) -> Any:
    """The sum of the gradients of the units, in their order, [1, ...]."""
    total = None
    for gradients in _by_device(loss, masters, units, mesh, differentiate=True):
        alone = total is None and mesh.size == 1
        total = gradients if alone else _added(total, gradients, mesh=mesh)
        # CPU devices add on the threads that compute: two concurrent sums could deadlock
        jax.block_until_ready(total)
    return total


def _by_device(
    loss: Loss, masters: Any, units: Sequence[Unit], mesh: Mesh, *, differentiate: bool
) -> Iterator[Any]:
    """For one micro-batch after the other, the result of each device."""
    how = {"of_unit": loss.of_unit, "config": loss.config, "dtype": loss.dtype, "mesh": mesh}
    for rows in _micro_batches(units, mesh):
        yield _on_devices(masters, loss.fixed, rows, differentiate=differentiate, **how)


@functools.partial(
    compiled, static_argnames=("of_unit", "config", "mesh", "dtype", "differentiate")
)
def _on_devices(
    masters: Any,
    fixed: Any,
    rows: Unit,
    *,
    of_unit: Callable[..., Array],
    config: ModelConfig,
    mesh: Mesh,
    dtype: str,
    differentiate: bool,
) -> Any:
    """The loss of each device's unit, or its gradient, [devices, ...]."""

    def on_device(params: tuple[Any, Any], *unit: Array) -> Any:
        function = functools.partial(of_unit, config, product_dtype(dtype))
        result = (jax.grad(function) if differentiate else function)(*params, *unit)
        return jax.tree.map(lambda leaf: leaf[None], result)

    return on_own_rows(on_device, mesh)((masters, fixed), *rows)


@functools.partial(compiled, static_argnames="mesh", donate_argnames="total")
def _added(total: Any, gradients: Any, *, mesh: Mesh) -> Any:
    """`total`, if any, and the gradients of the devices, in their order.

    A program of its own: fused with the gradient, the sum would round differently on other numbers of devices.
    """
    everywhere = jax.lax.with_sharding_constraint(gradients, replicated(mesh))
    parts = [jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], everywhere) for i in range(mesh.size)]
    parts = parts if total is None else [total, *parts]
    summed = functools.reduce(functools.partial(jax.tree.map, jnp.add), parts)
    return jax.lax.with_sharding_constraint(summed, replicated(mesh))


@functools.partial(
    compiled, static_argnames=("optimizer", "mesh"), donate_argnames=("masters", "state")
)
def _step(
    masters: Any,
    state: Any,
    gradient: Any,
    scale: Float[Array, ""],
    keep: MaskTree,
    *,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
) -> tuple[Any, Any]:
    """One step of AdamW; dropped weights stay +0."""
    scaled = jax.tree.map(lambda leaf: scale * leaf[0], gradient)
    updates, state = optimizer.update(scaled, state, masters)
    masters = mask_algebra.apply(optax.apply_updates(masters, updates), keep)
    return jax.lax.with_sharding_constraint((masters, state), replicated(mesh))


def _stored(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by their numbers."""
    return {str(number): np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(tree))}


def _restored(leaves: Mapping[str, np.ndarray], like: Any) -> Any:
    """A tree like another one, from its leaves."""
    values = [leaves[str(number)] for number in range(len(leaves))]
    return jax.tree.unflatten(jax.tree.structure(like), values)
